/** The handler of ReceiverService.RetireReceiverSecrets. */
import { create } from "@bufbuild/protobuf";
import type { HandlerContext } from "@connectrpc/connect";
import {
  type RetireReceiverSecretsRequest,
  type RetireReceiverSecretsResponse,
  RetireReceiverSecretsResponseSchema,
} from "../../../gen/bmaas/admin/v1/receiver_service_pb.js";
import { retireReceiverSecrets } from "../../db/queries/receiver.ts";
import { transact } from "../../db/transact.ts";
import { requestIdKey } from "../../rpc/calls/call-watch.ts";
import type { AdminContext } from "../admin-context.ts";
import { getActor } from "../authorization/caller.ts";
import { toReceiver } from "./to-receiver.ts";

/** Creates the handler of ReceiverService.RetireReceiverSecrets. */
export function createRetireReceiverSecrets({ db, log }: Pick<AdminContext, "db" | "log">) {
  return async (
    { name }: RetireReceiverSecretsRequest,
    call: HandlerContext,
  ): Promise<RetireReceiverSecretsResponse> => {
    const row = await transact(db, (tx) => retireReceiverSecrets(tx, name));
    const requestId = call.values.get(requestIdKey);
    log.info({ receiver: name, actor: getActor(call), requestId }, "the old secrets of a receiver were deleted");
    return create(RetireReceiverSecretsResponseSchema, { receiver: toReceiver(row) });
  };
}
