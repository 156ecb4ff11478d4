/**
 * What a change of a machine is, apart from whether one call requests it or a batch of many: a method and its batch
 * form share one operation, so they have the same rules and the same effects.
 */
import type { Message } from "@bufbuild/protobuf";
import type { GenMessage } from "@bufbuild/protobuf/codegenv2";
import type { Transaction } from "../../db/client.ts";
import { type Refuse, refuseAll } from "../../db/queries/candidates.ts";

/** A change that is checked, of one machine. */
export interface MachineChange {
  /** UUID in lower case. */
  readonly machineId: string;
}

/** A change that operators can make to a machine. */
export interface MachineOperation<Request extends Message, Change extends MachineChange, Outcome, Answer> {
  /** The message that requests the change of one machine. */
  readonly requestSchema: GenMessage<Request>;
  /** Checks what the contract cannot say. Throws ConnectError with `invalid_argument` that names every wrong field. */
  read(request: Request): Change;
  /** Carries out the changes, of different machines, but those that it refuses. */
  apply(tx: Transaction, changes: readonly Change[], actor: string, refuse: Refuse): Promise<Outcome>;
  /** Returns the answers for the changes that were carried out, by machine. */
  readAnswers(tx: Transaction, outcome: Outcome): Promise<Map<string, Answer>>;
  /**
   * Ends the transaction of the changes. It comes last, whether answers were read or not, and reads those again that
   * have become wrong meanwhile.
   */
  settle?(tx: Transaction, outcome: Outcome, answers: Map<string, Answer>): Promise<void>;
  /** Field of the request that an error of `apply` is about; undefined for the machine itself. */
  findField?(error: Error): string | undefined;
}

/** Carries out the change of one machine. Throws what refuses it. */
export async function applyOne<Change extends MachineChange, Outcome, Answer>(
  operation: Pick<MachineOperation<Message, Change, Outcome, Answer>, "apply" | "readAnswers" | "settle">,
  tx: Transaction,
  change: Change,
  actor: string,
): Promise<Answer> {
  const outcome = await operation.apply(tx, [change], actor, refuseAll);
  const answers = await operation.readAnswers(tx, outcome);
  await operation.settle?.(tx, outcome, answers);
  return answers.get(change.machineId) as Answer;
}
