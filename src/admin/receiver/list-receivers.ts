/** The handler of ReceiverService.ListReceivers. */
import { create } from "@bufbuild/protobuf";
import {
  type ListReceiversRequest,
  type ListReceiversResponse,
  ListReceiversResponseSchema,
} from "../../../gen/bmaas/admin/v1/receiver_service_pb.js";
import { listReceivers } from "../../db/queries/receiver.ts";
import type { AdminContext } from "../admin-context.ts";
import { toReceiver } from "./to-receiver.ts";

/** Creates the handler of ReceiverService.ListReceivers. */
export function createListReceivers({ db }: Pick<AdminContext, "db">) {
  return async (_request: ListReceiversRequest): Promise<ListReceiversResponse> => {
    const receivers = await listReceivers(db);
    return create(ListReceiversResponseSchema, { receivers: receivers.map(toReceiver) });
  };
}
