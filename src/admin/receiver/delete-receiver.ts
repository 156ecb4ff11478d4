/** The handler of ReceiverService.DeleteReceiver. */
import { create } from "@bufbuild/protobuf";
import type { HandlerContext } from "@connectrpc/connect";
import {
  type DeleteReceiverRequest,
  type DeleteReceiverResponse,
  DeleteReceiverResponseSchema,
} from "../../../gen/bmaas/admin/v1/receiver_service_pb.js";
import { deleteReceiver } from "../../db/queries/receiver.ts";
import { requestIdKey } from "../../rpc/calls/call-watch.ts";
import type { AdminContext } from "../admin-context.ts";
import { answerOnce } from "../answer-once.ts";
import { getActor } from "../authorization/caller.ts";

/** Creates the handler of ReceiverService.DeleteReceiver. */
export function createDeleteReceiver(context: Pick<AdminContext, "db" | "log">) {
  return async (request: DeleteReceiverRequest, call: HandlerContext): Promise<DeleteReceiverResponse> => {
    const response = await answerOnce(context, call, request, DeleteReceiverResponseSchema, async (tx) => {
      await deleteReceiver(tx, request.name);
      return create(DeleteReceiverResponseSchema);
    });
    const requestId = call.values.get(requestIdKey);
    context.log.info({ receiver: request.name, actor: getActor(call), requestId }, "a receiver was deleted");
    return response;
  };
}
