/**
 * Server reflection (grpc.reflection.v1 and v1alpha), so that buf curl and grpcurl work without a schema. The two
 * versions differ only in the package's name. Reflection needs no token, so the cost of a call and of an address is
 * limited.
 */
import { type Message, toBinary } from "@bufbuild/protobuf";
import { Code, ConnectError, type ConnectRouter, type HandlerContext } from "@connectrpc/connect";
import { file_google_rpc_error_details } from "../../../gen/google/rpc/error_details_pb.js";
import { ServerReflection } from "../../../gen/grpc/reflection/v1/reflection_pb.js";
import { ServerReflection as ServerReflectionAlpha } from "../../../gen/grpc/reflection/v1alpha/reflection_pb.js";
import { createAttemptLimit, toParty } from "../callers/attempt-limit.ts";
import { clientAddressKey } from "../callers/client-address.ts";
import { createKnownError } from "../calls/error-mapping.ts";
import { maxOpenMessageBytes } from "../limits.ts";
import { createOpenStreams } from "./open-streams.ts";
import { createReflectionIndex, type ReflectionIndex } from "./reflection-index.ts";

/** Common fields of both versions' requests. */
interface Question extends Message {
  readonly host: string;
  readonly messageRequest:
    | {
        readonly case: "fileByFilename" | "fileContainingSymbol" | "allExtensionNumbersOfType" | "listServices";
        readonly value: string;
      }
    | {
        readonly case: "fileContainingExtension";
        readonly value: { readonly containingType: string; readonly extensionNumber: number };
      }
    | { readonly case: undefined };
}

/** Common fields of both versions' responses. */
type Answer =
  | { case: "fileDescriptorResponse"; value: { fileDescriptorProto: Uint8Array[] } }
  | { case: "allExtensionNumbersResponse"; value: { baseTypeName: string; extensionNumber: number[] } }
  | { case: "listServicesResponse"; value: { service: { name: string }[] } }
  | { case: "errorResponse"; value: { errorCode: Code; errorMessage: string } };

/** Time without a request after which a call is ended, in milliseconds. */
const idleTimeoutMs = 60_000;

/** Maximum size of the answers of one call, in bytes. The whole schema takes a fraction of it. */
const maxAnswerBytes = 1024 * 1024;
/** Assumed size of an answer without files and without its request, in bytes; a little more than the real size. */
const leastAnswerBytes = 1024;
/** Limit on calls from one party. Reading a schema takes a few. */
const callRule = { burst: 60, secondsPerAttempt: 1, maxParties: 10_000 };
const streamLimits = { maxOpen: 200, maxOpenPerAddress: 20 };

/** Registers reflection for all services that `router` has so far, and for itself. */
export function registerReflection(router: ConnectRouter): void {
  const services = new Set(router.handlers.map((handler) => handler.service));
  const index = createReflectionIndex(
    [...services, ServerReflection, ServerReflectionAlpha],
    [file_google_rpc_error_details],
  );
  const begin = createCallLimit();
  router.service(
    ServerReflection,
    {
      serverReflectionInfo: (requests, context) => answerAll(requests, context, index, begin),
    },
    { readMaxBytes: maxOpenMessageBytes },
  );
  router.service(
    ServerReflectionAlpha,
    {
      serverReflectionInfo: (requests, context) => answerAll(requests, context, index, begin),
    },
    { readMaxBytes: maxOpenMessageBytes },
  );
}

/**
 * Begins a call from an address and returns the function that ends it. Throws ConnectError with `resource_exhausted`.
 */
type BeginCall = (address: string) => () => void;

function createCallLimit(): BeginCall {
  const calls = createAttemptLimit(callRule);
  const streams = createOpenStreams("reflection calls are open", streamLimits);
  return (address) => {
    const retryAfterSeconds = calls.take(toParty(address));
    if (retryAfterSeconds === undefined) return streams.open(address);
    const message = "too many reflection calls from this address: retry later";
    throw createKnownError({ code: Code.ResourceExhausted, message, retryAfterSeconds });
  };
}

async function* answerAll<Request extends Question>(
  requests: AsyncIterable<Request>,
  { signal, values, method }: HandlerContext,
  index: ReflectionIndex,
  begin: BeginCall,
) {
  const end = begin(values.get(clientAddressKey));
  try {
    const incoming = requests[Symbol.asyncIterator]();
    const sent = new Set<Uint8Array>();
    let bytes = 0;
    for (;;) {
      const next = await nextInTime(incoming, signal);
      if (next === undefined || next.done === true) return;
      const request = next.value;
      const messageResponse = leaveOutSent(answer(request, index), sent);
      // An answer repeats its request, and parts of it twice.
      bytes += leastAnswerBytes + 2 * toBinary(method.input, request).length + countFileBytes(messageResponse);
      if (bytes > maxAnswerBytes) {
        const message = `the answers of one call may have ${maxAnswerBytes} bytes: ask on another call`;
        throw new ConnectError(message, Code.ResourceExhausted);
      }
      yield { validHost: request.host, originalRequest: request, messageResponse };
    }
  } finally {
    end();
  }
}

/**
 * Leaves out dependencies that the call has sent before, since the protocol expects clients to keep them. The requested
 * file itself is always sent.
 */
function leaveOutSent(given: Answer, sent: Set<Uint8Array>): Answer {
  if (given.case !== "fileDescriptorResponse") return given;
  const fileDescriptorProto = given.value.fileDescriptorProto.filter((file, at) => at === 0 || !sent.has(file));
  for (const file of fileDescriptorProto) sent.add(file);
  return { case: given.case, value: { fileDescriptorProto } };
}

function countFileBytes(given: Answer): number {
  const files = given.case === "fileDescriptorResponse" ? given.value.fileDescriptorProto : [];
  return files.reduce((sum, { length }) => sum + length, 0);
}

/** Returns the next request, or undefined if none comes in time or the call ends. */
async function nextInTime<T>(iterator: AsyncIterator<T>, signal: AbortSignal): Promise<IteratorResult<T> | undefined> {
  const { promise: over, resolve } = Promise.withResolvers<undefined>();
  const end = () => resolve(undefined);
  const timer = setTimeout(end, idleTimeoutMs);
  signal.addEventListener("abort", end, { once: true });
  try {
    return await Promise.race([iterator.next(), over]);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", end);
  }
}

function answer({ messageRequest: question }: Question, index: ReflectionIndex): Answer {
  switch (question.case) {
    case "fileByFilename":
      return files(index.findFile(question.value), `file ${question.value}`);
    case "fileContainingSymbol":
      return files(index.findSymbol(question.value), `symbol ${question.value}`);
    case "fileContainingExtension": {
      const { containingType, extensionNumber } = question.value;
      return files(
        index.findExtension(containingType, extensionNumber),
        `extension ${extensionNumber} of ${containingType}`,
      );
    }
    case "allExtensionNumbersOfType": {
      const extensionNumber = index.findExtensionNumbers(question.value);
      if (extensionNumber === undefined) return failure(Code.NotFound, `message ${question.value} is unknown`);
      return { case: "allExtensionNumbersResponse", value: { baseTypeName: question.value, extensionNumber } };
    }
    case "listServices":
      return { case: "listServicesResponse", value: { service: index.services.map((name) => ({ name })) } };
    default:
      return failure(Code.InvalidArgument, "the request asks nothing that is known here");
  }
}

function files(fileDescriptorProto: Uint8Array[] | undefined, what: string): Answer {
  if (fileDescriptorProto === undefined) return failure(Code.NotFound, `${what} is not known here`);
  return { case: "fileDescriptorResponse", value: { fileDescriptorProto } };
}

function failure(errorCode: Code, errorMessage: string): Answer {
  return { case: "errorResponse", value: { errorCode, errorMessage } };
}
