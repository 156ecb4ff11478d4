/** Converts receivers and deliveries from the database to messages for operators, which contain no secret. */
import { create } from "@bufbuild/protobuf";
import { durationFromMs, timestampFromDate, timestampFromMs } from "@bufbuild/protobuf/wkt";
import {
  type Delivery,
  type DeliveryAttempt,
  DeliveryAttemptSchema,
  DeliverySchema,
  DeliveryState,
  type Receiver,
  ReceiverSchema,
} from "../../../gen/bmaas/admin/v1/receiver_service_pb.js";
import type { ReceiverOverview } from "../../db/queries/receiver.ts";
import { type DeliveryRow, noMachine, type StoredAttempt } from "../../db/queries/receiver-delivery.ts";

/** States of the contract, by their names in the database. */
export const deliveryStates = {
  waiting: DeliveryState.WAITING,
  delivered: DeliveryState.DELIVERED,
  given_up: DeliveryState.GIVEN_UP,
} as const satisfies Record<DeliveryRow["state"], DeliveryState>;

/** Converts one receiver. Path and query of its URL may be secret, so only its origin is shown. */
export function toReceiver(row: ReceiverOverview): Receiver {
  return create(ReceiverSchema, {
    name: row.name,
    origin: new URL(row.url).origin,
    events: row.events,
    createTime: timestampFromDate(row.createdAt),
    creator: row.createdBy,
    secretTimes: row.secretTimes.map(timestampFromDate),
    failing: row.isFailing,
    failures: BigInt(row.failures),
    lastError: row.lastError ?? "",
    waitingDeliveries: row.waiting,
    ...(row.failingSince && { firstFailureTime: timestampFromDate(row.failingSince) }),
    ...(row.deliveredAt && { lastSuccessTime: timestampFromDate(row.deliveredAt) }),
    ...(row.oldestWaitingAt && { oldestWaitingTime: timestampFromDate(row.oldestWaitingAt) }),
  });
}

/** Converts one delivery. */
export function toDelivery(row: DeliveryRow): Delivery {
  return create(DeliverySchema, {
    id: row.id,
    eventType: row.eventType,
    machineId: row.machineId === noMachine ? "" : row.machineId,
    eventTime: timestampFromDate(row.eventAt),
    state: deliveryStates[row.state],
    createTime: timestampFromDate(row.createdAt),
    attempts: row.attempts,
    lastAttempts: row.lastAttempts.map(toAttempt),
    payload: row.payload,
    ...(row.nextAttemptAt && { nextAttemptTime: timestampFromDate(row.nextAttemptAt) }),
    ...(row.endedAt && { endTime: timestampFromDate(row.endedAt) }),
  });
}

/** Converts one attempt. */
export function toAttempt({ atMs, durationMs, status, error, answer }: StoredAttempt): DeliveryAttempt {
  return create(DeliveryAttemptSchema, {
    attemptTime: timestampFromMs(atMs),
    duration: durationFromMs(durationMs),
    status: status ?? 0,
    error: error ?? "",
    answer,
  });
}
