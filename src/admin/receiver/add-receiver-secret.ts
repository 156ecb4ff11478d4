/** The handler of ReceiverService.AddReceiverSecret. */
import { create } from "@bufbuild/protobuf";
import type { HandlerContext } from "@connectrpc/connect";
import {
  type AddReceiverSecretRequest,
  type AddReceiverSecretResponse,
  AddReceiverSecretResponseSchema,
} from "../../../gen/bmaas/admin/v1/receiver_service_pb.js";
import { addReceiverSecret } from "../../db/queries/receiver.ts";
import { requestIdKey } from "../../rpc/calls/call-watch.ts";
import type { AdminContext } from "../admin-context.ts";
import { answerOnce } from "../answer-once.ts";
import { getActor } from "../authorization/caller.ts";
import { checkSecretIsNew, createReceiverSecret } from "./receiver-secret.ts";
import { toReceiver } from "./to-receiver.ts";

/** Creates the handler of ReceiverService.AddReceiverSecret. Only the first answer has the secret. */
export function createAddReceiverSecret(context: Pick<AdminContext, "db" | "log">) {
  return async (request: AddReceiverSecretRequest, call: HandlerContext): Promise<AddReceiverSecretResponse> => {
    const { name } = request;
    const secret = createReceiverSecret();
    const { receiver } = await answerOnce(
      context,
      call,
      request,
      AddReceiverSecretResponseSchema,
      async (tx, actor) => {
        const row = await addReceiverSecret(tx, { name, secret, createdBy: actor });
        return create(AddReceiverSecretResponseSchema, { receiver: toReceiver(row) });
      },
    );
    await checkSecretIsNew(context.db, { name, secret, reason: "SECRET_MADE_BEFORE" });
    const requestId = call.values.get(requestIdKey);
    context.log.info({ receiver: name, actor: getActor(call), requestId }, "a secret was added to a receiver");
    return create(AddReceiverSecretResponseSchema, { ...(receiver && { receiver }), secret });
  };
}
