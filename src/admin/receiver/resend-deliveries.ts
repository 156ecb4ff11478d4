/** The handler of ReceiverService.ResendDeliveries. */
import { create } from "@bufbuild/protobuf";
import type { HandlerContext } from "@connectrpc/connect";
import {
  type ResendDeliveriesRequest,
  type ResendDeliveriesResponse,
  ResendDeliveriesResponseSchema,
} from "../../../gen/bmaas/admin/v1/receiver_service_pb.js";
import { resendDeliveries } from "../../db/queries/kept-delivery.ts";
import { transact } from "../../db/transact.ts";
import { requestIdKey } from "../../rpc/calls/call-watch.ts";
import type { AdminContext } from "../admin-context.ts";
import { getActor } from "../authorization/caller.ts";

/** Creates the handler of ReceiverService.ResendDeliveries. */
export function createResendDeliveries({ db, log }: Pick<AdminContext, "db" | "log">) {
  return async (request: ResendDeliveriesRequest, call: HandlerContext): Promise<ResendDeliveriesResponse> => {
    const { name, deliveryIds } = request;
    const deliveries = await transact(db, (tx) => resendDeliveries(tx, name, deliveryIds));
    const requestId = call.values.get(requestIdKey);
    if (deliveries > 0)
      log.info({ receiver: name, deliveries, actor: getActor(call), requestId }, "deliveries were resent");
    return create(ResendDeliveriesResponseSchema, { deliveries });
  };
}
