/** State that all calls of a lane, or of a method, share. */
import type {
  BinaryReadOptions,
  BinaryWriteOptions,
  DescMessage,
  JsonReadOptions,
  JsonWriteOptions,
} from "@bufbuild/protobuf";
import type { ConnectError, Interceptor } from "@connectrpc/connect";
import { createMethodSerializationLookup, type MethodSerializationLookup } from "@connectrpc/connect/protocol";
import type { OnCall } from "../calls/call-record.ts";
import type { Authenticate } from "../calls/raw-call.ts";
import type { ListenerLimits } from "../limits.ts";
import { createStrictDecoder } from "../wire/strict-json.ts";
import type { ExchangeTimeouts } from "./exchange.ts";
import type { UnarySpec } from "./unary-methods.ts";

/** Options of a lane. An option that Connect's handler has as well means the same. */
export interface LaneOptions {
  /** Interceptors, outermost first. */
  readonly interceptors: Interceptor[];
  /** Authenticates the caller. Absent: the lane accepts every caller without proof. */
  readonly authenticate?: Authenticate | undefined;
  /** Maps errors of `authenticate`, of handlers and of interceptors, so that no error interceptor is needed. */
  readonly toConnectError: (error: unknown) => ConnectError;
  readonly limits: ListenerLimits;
  /** Maximum size of one message, not counting its frame's prefix. Default: `limits.maxBodyBytes`. */
  readonly readMaxBytes?: number | undefined;
  readonly maxTimeoutMs: number;
  readonly jsonOptions?: Partial<JsonReadOptions & JsonWriteOptions> | undefined;
  readonly binaryOptions?: Partial<BinaryReadOptions & BinaryWriteOptions> | undefined;
  /** Default: false. */
  readonly requireConnectProtocolHeader?: boolean | undefined;
  readonly onCall?: OnCall | undefined;
}

/** A lane: its options, and the timeouts of its exchanges. */
export interface Lane extends LaneOptions {
  readonly readMaxBytes: number;
  readonly timeouts: ExchangeTimeouts;
}

/** A method of a lane. */
export interface LaneMethod {
  readonly spec: UnarySpec;
  readonly serialization: MethodSerializationLookup<DescMessage, DescMessage>;
}

/** Creates a method of a lane. */
export function createLaneMethod(
  spec: UnarySpec,
  { binaryOptions, jsonOptions, readMaxBytes }: Pick<Lane, "binaryOptions" | "jsonOptions" | "readMaxBytes">,
): LaneMethod {
  const bounds = { readMaxBytes, writeMaxBytes: maxWriteBytes };
  const strictOptions = { ...jsonOptions, textDecoder: createStrictDecoder(spec.method.input) };
  return { spec, serialization: createMethodSerializationLookup(spec.method, binaryOptions, strictOptions, bounds) };
}

/** Connect's default: the greatest length of a frame. */
const maxWriteBytes = 0xffffffff;
