/**
 * The process that the conformance suite starts for each way of serving: it reads how on its standard input, and writes where on its
 * standard output, each message behind its length. Its argument is the lane's setting. It ends on SIGTERM.
 */
import type { AddressInfo } from "node:net";
import { buffer } from "node:stream/consumers";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { pino } from "pino";
import { prepareClose } from "../../src/rpc/listener.ts";
import {
  ServerCompatRequestSchema,
  ServerCompatResponseSchema,
} from "./gen/connectrpc/conformance/v1/server_compat_pb.js";
import { createServerUnderTest } from "./server.ts";

/** Big-endian. */
const lengthBytes = 4;

const lane = process.argv[2];
if (lane !== "on" && lane !== "off") throw new Error("the argument is on or off");
const asked = fromBinary(ServerCompatRequestSchema, (await buffer(process.stdin)).subarray(lengthBytes));
const listener = createServerUnderTest(asked, lane, pino({ level: "warn" }, pino.destination(2)));
const close = prepareClose(listener);
process.once("SIGTERM", () => void close());
await listener.listen({ host: "127.0.0.1", port: 0 });

const { address, port } = listener.server.address() as AddressInfo;
const pemCert = asked.serverCreds?.cert ?? new Uint8Array();
const answer = toBinary(
  ServerCompatResponseSchema,
  create(ServerCompatResponseSchema, { host: address, port, pemCert }),
);
const length = Buffer.alloc(lengthBytes);
length.writeUInt32BE(answer.length);
process.stdout.write(Buffer.concat([length, answer]));
