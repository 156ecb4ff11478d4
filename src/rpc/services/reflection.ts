/**
 * Server reflection (grpc.reflection.v1 and v1alpha), so that buf curl and grpcurl work without a schema. Both versions are the same
 * but for the package's name.
 */
import { Code, type ConnectRouter, type HandlerContext } from "@connectrpc/connect";
import { file_google_rpc_error_details } from "../../../gen/google/rpc/error_details_pb.js";
import { ServerReflection } from "../../../gen/grpc/reflection/v1/reflection_pb.js";
import { ServerReflection as ServerReflectionAlpha } from "../../../gen/grpc/reflection/v1alpha/reflection_pb.js";
import { createReflectionIndex, type ReflectionIndex } from "./reflection-index.ts";

/** What both versions' requests hold. */
interface Question {
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

/** What both versions' responses hold. */
type Answer =
  | { case: "fileDescriptorResponse"; value: { fileDescriptorProto: Uint8Array[] } }
  | { case: "allExtensionNumbersResponse"; value: { baseTypeName: string; extensionNumber: number[] } }
  | { case: "listServicesResponse"; value: { service: { name: string }[] } }
  | { case: "errorResponse"; value: { errorCode: Code; errorMessage: string } };

/** A client that asks nothing more for this long is let go; milliseconds. */
const idleTimeoutMs = 60_000;

/** Registers reflection over all services that `router` has by now, and over itself. */
export function registerReflection(router: ConnectRouter): void {
  const services = new Set(router.handlers.map((handler) => handler.service));
  const index = createReflectionIndex(
    [...services, ServerReflection, ServerReflectionAlpha],
    [file_google_rpc_error_details],
  );
  router.service(ServerReflection, {
    serverReflectionInfo: (requests, context) => answerAll(requests, context, index),
  });
  router.service(ServerReflectionAlpha, {
    serverReflectionInfo: (requests, context) => answerAll(requests, context, index),
  });
}

async function* answerAll<Request extends Question>(
  requests: AsyncIterable<Request>,
  { signal }: HandlerContext,
  index: ReflectionIndex,
) {
  const incoming = requests[Symbol.asyncIterator]();
  for (;;) {
    const next = await nextInTime(incoming, signal);
    if (next === undefined || next.done === true) return;
    const request = next.value;
    yield { validHost: request.host, originalRequest: request, messageResponse: answer(request, index) };
  }
}

/** The next request, or undefined when none comes in time or the call ends. */
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
      if (extensionNumber === undefined) return failure(Code.NotFound, `message ${question.value} is not known here`);
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
