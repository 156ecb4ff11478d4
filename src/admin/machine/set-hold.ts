/** The handler of MachineService.SetHold. */
import { create } from "@bufbuild/protobuf";
import { durationMs, timestampDate } from "@bufbuild/protobuf/wkt";
import type { HandlerContext } from "@connectrpc/connect";
import {
  type SetHoldRequest,
  type SetHoldResponse,
  SetHoldResponseSchema,
} from "../../../gen/bmaas/admin/v1/machine_service_pb.js";
import { parseMachineId } from "../../contract/machine-id.ts";
import { type NewHold, setHold } from "../../db/queries/machine-hold.ts";
import type { AdminContext } from "../admin-context.ts";
import { answerOnce } from "../answer-once.ts";
import { readMachine } from "./read-machine.ts";
import { toHold } from "./to-machine.ts";

/** Creates the handler of MachineService.SetHold. */
export function createSetHold(context: AdminContext) {
  return async (request: SetHoldRequest, call: HandlerContext): Promise<SetHoldResponse> => {
    const hold = {
      machineId: parseMachineId(request.machineId),
      reason: request.reason,
      ticket: request.ticket || null,
      isMuted: request.mute,
      end: toEnd(request.end),
    };
    return await answerOnce(context, call, request, SetHoldResponseSchema, async (tx, actor) => {
      const replaced = await setHold(tx, hold, actor);
      const machine = await readMachine(tx, hold.machineId);
      return create(SetHoldResponseSchema, { machine, ...(replaced && { replaced: toHold(replaced) }) });
    });
  };
}

function toEnd({ case: kind, value }: SetHoldRequest["end"]): NewHold["end"] {
  if (kind === "endTime") return { at: timestampDate(value) };
  return kind === "duration" ? { afterSeconds: durationMs(value) / 1000 } : undefined;
}
