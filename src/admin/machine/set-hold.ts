/** The handlers of MachineService.SetHold and BatchSetHolds. */
import { create } from "@bufbuild/protobuf";
import { durationMs, timestampDate } from "@bufbuild/protobuf/wkt";
import type { HandlerContext } from "@connectrpc/connect";
import {
  BatchSetHoldsResponseSchema,
  type SetHoldRequest,
  SetHoldRequestSchema,
  type SetHoldResponse,
  SetHoldResponseSchema,
} from "../../../gen/bmaas/admin/v1/machine_service_pb.js";
import { parseMachineId } from "../../contract/machine-id.ts";
import type { Transaction } from "../../db/client.ts";
import {
  findGivenRequests,
  type GivenRequests,
  type HoldRow,
  type NewHold,
  setHolds,
  settleHolds,
} from "../../db/queries/machine-hold.ts";
import type { AdminContext } from "../admin-context.ts";
import { answerOnce } from "../answer-once.ts";
import { createBatchHandler } from "../batch/answer-batch.ts";
import { applyOne, type MachineOperation } from "../batch/machine-operation.ts";
import { readMachines } from "./read-machine.ts";
import { toHold } from "./to-machine.ts";

/** The machines that are held now. */
interface Held {
  /** The hold whose place the new one took, for each machine. */
  readonly replaced: ReadonlyMap<string, HoldRow | undefined>;
  /** What their agents had been given before the answers were read. */
  readonly given: GivenRequests;
}

const holding: MachineOperation<SetHoldRequest, NewHold, Held, SetHoldResponse> = {
  requestSchema: SetHoldRequestSchema,
  read: ({ machineId, reason, ticket, mute, end }) => ({
    machineId: parseMachineId(machineId),
    reason,
    ticket: ticket || null,
    isMuted: mute,
    end: toEnd(end),
  }),
  async apply(tx, holds, actor, refuse) {
    const replaced = await setHolds(tx, holds, actor, refuse);
    return { replaced, given: await findGivenRequests(tx, [...replaced.keys()]) };
  },
  readAnswers: (tx, { replaced }) => readAnswers(tx, [...replaced.keys()], replaced),
  async settle(tx, { replaced, given }, answers) {
    const changed = await settleHolds(tx, [...replaced.keys()], given);
    const outdated = changed.filter((machineId) => answers.has(machineId));
    for (const [machineId, answer] of await readAnswers(tx, outdated, replaced)) answers.set(machineId, answer);
  },
};

async function readAnswers(
  tx: Transaction,
  machineIds: readonly string[],
  before: Held["replaced"],
): Promise<Map<string, SetHoldResponse>> {
  const machines = await readMachines(tx, machineIds);
  return new Map(
    Array.from(machines, ([machineId, machine]) => {
      const replaced = before.get(machineId);
      return [machineId, create(SetHoldResponseSchema, { machine, ...(replaced && { replaced: toHold(replaced) }) })];
    }),
  );
}

/** Creates the handler of MachineService.SetHold. */
export function createSetHold(context: AdminContext) {
  return async (request: SetHoldRequest, call: HandlerContext): Promise<SetHoldResponse> => {
    const hold = holding.read(request);
    return await answerOnce(context, call, request, SetHoldResponseSchema, (tx, actor) =>
      applyOne(holding, tx, hold, actor),
    );
  };
}

/** Creates the handler of MachineService.BatchSetHolds. */
export function createBatchSetHolds(context: AdminContext) {
  return createBatchHandler(context, holding, {
    schema: BatchSetHoldsResponseSchema,
    create(answers, failedRequests) {
      const machines = answers.flatMap(({ machine }) => machine ?? []);
      const replaced = answers.flatMap(({ machine, replaced: hold }) => (machine && hold ? [[machine.id, hold]] : []));
      return create(BatchSetHoldsResponseSchema, { machines, failedRequests, replaced: Object.fromEntries(replaced) });
    },
  });
}

function toEnd({ case: kind, value }: SetHoldRequest["end"]): NewHold["end"] {
  if (kind === "endTime") return { at: timestampDate(value) };
  return kind === "duration" ? { afterSeconds: durationMs(value) / 1000 } : undefined;
}
