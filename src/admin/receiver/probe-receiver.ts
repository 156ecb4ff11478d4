/** The handler of ReceiverService.ProbeReceiver. */
import { randomBytes } from "node:crypto";
import { create } from "@bufbuild/protobuf";
import type { HandlerContext } from "@connectrpc/connect";
import {
  type ProbeReceiverRequest,
  type ProbeReceiverResponse,
  ProbeReceiverResponseSchema,
} from "../../../gen/bmaas/admin/v1/receiver_service_pb.js";
import { getReceiverToCall } from "../../db/queries/receiver.ts";
import { writeProbe } from "../../receivers/event-message.ts";
import { sendMessage } from "../../receivers/send-message.ts";
import type { AdminContext } from "../admin-context.ts";
import { getActor } from "../authorization/caller.ts";
import { toAttempt } from "./to-receiver.ts";

/** Creates the handler of ReceiverService.ProbeReceiver. */
export function createProbeReceiver({ db, guard }: Pick<AdminContext, "db" | "guard">) {
  return async ({ name }: ProbeReceiverRequest, call: HandlerContext): Promise<ProbeReceiverResponse> => {
    const receiver = await getReceiverToCall(db, name);
    const id = `msg_${randomBytes(16).toString("hex")}`;
    const payload = writeProbe(name, getActor(call), new Date());
    const attempt = await sendMessage(guard, { ...receiver, id, payload }, call.signal);
    return create(ProbeReceiverResponseSchema, { attempt: toAttempt(attempt) });
  };
}
