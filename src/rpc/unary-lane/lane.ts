/** What all calls of a lane, and all calls of a method, have in common. */
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
import type { ExchangeTimeouts } from "./exchange-timeouts.ts";
import type { UnarySpec } from "./unary-methods.ts";

/** What is the same for all calls; where Connect's handler has the same option, it means the same. */
export interface LaneOptions {
  /** Outermost first. */
  readonly interceptors: Interceptor[];
  /** Says who calls; absent for a lane that takes everybody's word. */
  readonly authenticate?: Authenticate | undefined;
  /** Maps whatever is thrown, by `authenticate`, by a handler and by interceptors; an error interceptor is not needed. */
  readonly toConnectError: (error: unknown) => ConnectError;
  readonly limits: ListenerLimits;
  /** Of one message; a body has room for its frame's prefix besides. Default: `limits.maxBodyBytes`. */
  readonly readMaxBytes?: number | undefined;
  readonly maxTimeoutMs: number;
  readonly jsonOptions?: Partial<JsonReadOptions & JsonWriteOptions> | undefined;
  readonly binaryOptions?: Partial<BinaryReadOptions & BinaryWriteOptions> | undefined;
  /** Default: false. */
  readonly requireConnectProtocolHeader?: boolean | undefined;
  readonly onCall?: OnCall | undefined;
}

/** A lane: its options, and what bounds the time of its exchanges. */
export interface Lane extends LaneOptions {
  readonly readMaxBytes: number;
  readonly timeouts: ExchangeTimeouts;
}

/** A method of a lane. */
export interface LaneMethod {
  readonly spec: UnarySpec;
  readonly serialization: MethodSerializationLookup<DescMessage, DescMessage>;
}

/** Prepares a method. */
export function createLaneMethod(
  spec: UnarySpec,
  { binaryOptions, jsonOptions, readMaxBytes }: Pick<Lane, "binaryOptions" | "jsonOptions" | "readMaxBytes">,
): LaneMethod {
  const bounds = { readMaxBytes, writeMaxBytes: maxWriteBytes };
  const strictOptions = { ...jsonOptions, textDecoder: createStrictDecoder(spec.method.input) };
  return { spec, serialization: createMethodSerializationLookup(spec.method, binaryOptions, strictOptions, bounds) };
}

/** Connect's default: what the length of a frame can say. */
const maxWriteBytes = 0xffffffff;
