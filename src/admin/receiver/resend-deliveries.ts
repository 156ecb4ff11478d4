/** The handler of ReceiverService.ResendDeliveries. */
import { create } from "@bufbuild/protobuf";
import {
  type ResendDeliveriesRequest,
  type ResendDeliveriesResponse,
  ResendDeliveriesResponseSchema,
} from "../../../gen/bmaas/admin/v1/receiver_service_pb.js";
import { resendDeliveries } from "../../db/queries/kept-delivery.ts";
import { transact } from "../../db/transact.ts";
import type { AdminContext } from "../admin-context.ts";

/** Creates the handler of ReceiverService.ResendDeliveries. */
export function createResendDeliveries({ db }: Pick<AdminContext, "db">) {
  return async ({ name, deliveryIds }: ResendDeliveriesRequest): Promise<ResendDeliveriesResponse> => {
    const deliveries = await transact(db, (tx) => resendDeliveries(tx, name, deliveryIds));
    return create(ResendDeliveriesResponseSchema, { deliveries });
  };
}
