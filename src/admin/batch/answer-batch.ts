/** Carries out a batch in one transaction: all of its requests or none, or those that can be carried out. */
import type { DescMessage, Message, MessageShape } from "@bufbuild/protobuf";
import type { HandlerContext } from "@connectrpc/connect";
import { BatchMode } from "../../../gen/bmaas/admin/v1/batch_pb.js";
import type { Status } from "../../../gen/google/rpc/status_pb.js";
import type { Transaction } from "../../db/client.ts";
import type { AdminContext } from "../admin-context.ts";
import { answerOnce } from "../answer-once.ts";
import { getActor } from "../authorization/caller.ts";
import { answerWithoutChange } from "../validate-only.ts";
import { type RequestFailure, type RequestFailures, toBatchError, toStatuses } from "./failed-requests.ts";
import type { MachineChange, MachineOperation } from "./machine-operation.ts";
import { readBatch } from "./read-batch.ts";

/** The message of a batch. */
type BatchRequest<Request> = Message & {
  readonly requests: Request[];
  readonly mode: BatchMode;
  readonly requestId: string;
  readonly validateOnly?: boolean;
  readonly omitMachines?: boolean;
};

/** How the answers to the requests become the answer to the batch. */
interface BatchResponse<Answer, Response extends DescMessage> {
  readonly schema: Response;
  readonly create: (answers: Answer[], failedRequests: Record<number, Status>) => MessageShape<Response>;
}

/** Creates the handler of the batch form of an operation. */
export function createBatchHandler<
  Request extends Message,
  Change extends MachineChange,
  Outcome,
  Answer,
  Response extends DescMessage,
>(
  context: Pick<AdminContext, "db" | "mapError">,
  operation: MachineOperation<Request, Change, Outcome, Answer>,
  response: BatchResponse<Answer, Response>,
) {
  return async (request: BatchRequest<Request>, call: HandlerContext): Promise<MessageShape<Response>> => {
    const { changes, failures } = await readBatch(operation, request.requests);
    const isAtomic = request.mode !== BatchMode.PARTIAL_SUCCESS;
    if (isAtomic) assertNone(failures);
    const indexes = new Map(Array.from(changes, ([index, { machineId }]) => [machineId, index]));
    const work = async (tx: Transaction, actor: string): Promise<MessageShape<Response>> => {
      const refused = new Map<number, RequestFailure>(failures);
      const refuse = (machineId: string, error: Error) => {
        const field = operation.findField?.(error) ?? "machine_id";
        refused.set(indexes.get(machineId) as number, { error: context.mapError(error), field });
      };
      const outcome = await operation.apply(tx, [...changes.values()], actor, refuse);
      if (isAtomic) assertNone(refused);
      const answers = request.omitMachines ? new Map<string, Answer>() : await operation.readAnswers(tx, outcome);
      await operation.settle?.(tx, outcome, answers);
      const answered = [...indexes.keys()].flatMap((machineId) => answers.get(machineId) ?? []);
      return response.create(answered, toStatuses(refused));
    };
    if (request.validateOnly) return await answerWithoutChange(context, (tx) => work(tx, getActor(call)));
    return await answerOnce(context, call, request, response.schema, work);
  };
}

function assertNone(failures: RequestFailures): void {
  if (failures.size > 0) throw toBatchError(failures);
}
