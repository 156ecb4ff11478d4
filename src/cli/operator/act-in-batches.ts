/** Acts on many machines by batches of the operators' API, with the outcome of each as if it had been a call. */
import {
  create,
  type DescMessage,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import type { Any } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import { BadRequestSchema } from "../../../gen/google/rpc/error_details_pb.js";
import type { Status } from "../../../gen/google/rpc/status_pb.js";
import type { Target } from "./targets.ts";

/** How a command acts on one target, and on several by one call. */
export interface BatchedAct<T> {
  readonly one: (target: Target) => Promise<T>;
  /**
   * Acts on a group that `group` returned, and resolves to the outcomes in its order. Resolves to undefined when the
   * server knows no batches, and then nothing was done.
   */
  readonly many: (targets: readonly Target[]) => Promise<readonly PromiseSettledResult<T>[] | undefined>;
  readonly group: (targets: readonly Target[]) => readonly (readonly Target[])[];
}

/** A request for each target, and the two ways to send it. */
interface BatchedCall<Request extends DescMessage, T, Answer> {
  readonly schema: Request;
  /** May throw the failure of the target. */
  readonly toRequest: (target: Target) => MessageInitShape<Request>;
  readonly send: (request: MessageInitShape<Request>) => Promise<T>;
  /** Sends requests of which some may fail. The answers are in their order, without those that failed. */
  readonly sendBatch: (requests: MessageShape<Request>[]) => Promise<{
    readonly answers: readonly Answer[];
    readonly failedRequests: Readonly<Record<number, Status>>;
  }>;
  /** Returns what `send` would have answered. */
  readonly toAnswer: (answer: Answer) => T;
}

/** Maximum number of requests in a batch, and of bytes, of which the server takes 1 MiB. */
const maxRequests = 1000;
const maxBytes = 900 * 1024;

/** Creates the act that sends several requests by one call. */
export function inBatches<Request extends DescMessage, T, Answer>(
  call: BatchedCall<Request, T, Answer>,
): BatchedAct<T> {
  const { schema, toRequest, send, sendBatch, toAnswer } = call;
  const one = async (target: Target) => await send(toRequest(target));
  const many = async (targets: readonly Target[]): Promise<PromiseSettledResult<T>[] | undefined> => {
    const requests = targets.map((target) => attempt(() => create(schema, toRequest(target))));
    const ready = requests.flatMap((request) => (request.status === "fulfilled" ? [request.value] : []));
    if (ready.length === 0) return requests.map((request) => request as PromiseRejectedResult);
    let answer: Awaited<ReturnType<typeof sendBatch>>;
    try {
      answer = await sendBatch(ready);
    } catch (reason) {
      if (reason instanceof ConnectError && reason.code === Code.Unimplemented) return undefined;
      return requests.map((request) => (request.status === "rejected" ? request : { status: "rejected", reason }));
    }
    const answers = answer.answers.values();
    let index = 0;
    return requests.map((request) => {
      if (request.status === "rejected") return request;
      const status = answer.failedRequests[index];
      index += 1;
      if (status !== undefined) return { status: "rejected", reason: toError(status) };
      return attempt(() => toAnswer(answers.next().value as Answer));
    });
  };
  const sizeOf = (target: Target) => {
    const request = attempt(() => toBinary(schema, create(schema, toRequest(target))).length);
    return request.status === "fulfilled" ? request.value : 0;
  };
  return { one, many, group: (targets) => groupBySize(targets, sizeOf) };
}

function groupBySize(targets: readonly Target[], sizeOf: (target: Target) => number): Target[][] {
  const groups: Target[][] = [];
  let bytes = 0;
  for (const target of targets) {
    const size = sizeOf(target) + 16;
    const group = groups.at(-1);
    if (group === undefined || group.length === maxRequests || bytes + size > maxBytes) {
      groups.push([target]);
      bytes = size;
    } else {
      group.push(target);
      bytes += size;
    }
  }
  return groups;
}

function attempt<T>(work: () => T): PromiseSettledResult<T> {
  try {
    return { status: "fulfilled", value: work() };
  } catch (reason) {
    return { status: "rejected", reason };
  }
}

/** Returns the error that the method for one machine would have answered. */
function toError({ code, message, details }: Status): ConnectError {
  const error = new ConnectError(message, code);
  error.details = details.map(toDetail);
  return error;
}

function toDetail({ typeUrl, value }: Any): { readonly type: string; readonly value: Uint8Array } {
  const type = typeUrl.slice(typeUrl.lastIndexOf("/") + 1);
  if (type !== BadRequestSchema.typeName) return { type, value };
  const { fieldViolations } = fromBinary(BadRequestSchema, value);
  const violations = fieldViolations.map((each) => ({ ...each, field: each.field.replace(/^requests\[\d+\]\.?/, "") }));
  return { type, value: toBinary(BadRequestSchema, create(BadRequestSchema, { fieldViolations: violations })) };
}
