/** Comparisons on the wire, with their targets. */
import { type AssertAnswer, assertGrpcAnswer, assertJsonAnswer } from "./assert-answer.ts";
import { type CreateLoad, createGrpcLoad, createJsonLoad } from "./load.ts";

/** A comparison of servers under the same load. */
export interface Comparison {
  readonly title: string;
  readonly tls: boolean;
  readonly createLoad: CreateLoad;
  readonly assertAnswer: AssertAnswer;
  /** Descriptions of the servers by name, ours first. */
  readonly servers: Readonly<Record<string, string>>;
  /** Lowest acceptable ratios of the lane's rate to each server's. */
  readonly targets: Readonly<Record<string, number>>;
}

const grpcServers = {
  lane: "bmaas, unary lane",
  connect: "bmaas, Connect's handler",
  "grpc-js": "@grpc/grpc-js",
  http2: "raw node:http2",
};

/** All comparisons. */
export const comparisons: readonly Comparison[] = [
  {
    title: "gRPC, HTTP/2 without TLS",
    tls: false,
    createLoad: createGrpcLoad,
    assertAnswer: assertGrpcAnswer,
    servers: grpcServers,
    targets: { "grpc-js": 1.25, http2: 0.8 },
  },
  {
    title: "gRPC over TLS",
    tls: true,
    createLoad: createGrpcLoad,
    assertAnswer: assertGrpcAnswer,
    servers: grpcServers,
    targets: {},
  },
  {
    title: "Connect JSON, HTTP/1.1",
    tls: false,
    createLoad: createJsonLoad,
    assertAnswer: assertJsonAnswer,
    servers: { lane: "bmaas, unary lane", connect: "bmaas, Connect's handler", fastify: "bare Fastify route" },
    targets: { fastify: 0.85 },
  },
];
