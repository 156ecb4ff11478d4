/** The handler of ReceiverService.ListDeliveries. */
import { create } from "@bufbuild/protobuf";
import {
  type ListDeliveriesRequest,
  type ListDeliveriesResponse,
  ListDeliveriesResponseSchema,
} from "../../../gen/bmaas/admin/v1/receiver_service_pb.js";
import { listDeliveries } from "../../db/queries/kept-delivery.ts";
import { getReceiverId } from "../../db/queries/receiver.ts";
import type { DeliveryRow } from "../../db/queries/receiver-delivery.ts";
import type { AdminContext } from "../admin-context.ts";
import { decodePageToken, encodePageToken, parseKeyNumber } from "../page-token.ts";
import { deliveryStates, toDelivery } from "./to-receiver.ts";

const defaultPageSize = 50;

/** Creates the handler of ReceiverService.ListDeliveries. */
export function createListDeliveries({ db }: Pick<AdminContext, "db">) {
  return async (request: ListDeliveriesRequest): Promise<ListDeliveriesResponse> => {
    const { name, states, deliveryIds: ids, pageSize, pageToken } = request;
    const names = (Object.keys(deliveryStates) as DeliveryRow["state"][]).filter((state) =>
      states.includes(deliveryStates[state]),
    );
    const scope = ["deliveries", name, names, ...(ids.length > 0 ? [ids.toSorted()] : [])];
    const before = decodePageToken(scope, pageToken, ([seq, ...rest]) =>
      rest.length === 0 ? parseKeyNumber(seq) : undefined,
    );
    const limit = pageSize || defaultPageSize;
    const receiverId = await getReceiverId(db, name);
    // One more than the page holds tells whether more follow.
    const rows = await listDeliveries(db, receiverId, { states: names, ids, before, limit: limit + 1 });
    const page = rows.slice(0, limit);
    const last = rows.length > limit ? page.at(-1) : undefined;
    return create(ListDeliveriesResponseSchema, {
      deliveries: page.map(toDelivery),
      nextPageToken: last === undefined ? "" : encodePageToken(scope, [last.seq.toString()]),
    });
  };
}
