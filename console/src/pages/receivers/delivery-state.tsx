/** The state of a delivery in words, with when it is sent next. */
import { type Delivery, DeliveryState } from "@api/receiver_service_pb.js";
import { Badge, type Tone } from "../../ui/machine-state.tsx";
import { Time } from "../../ui/time.tsx";
import { deliveryStates } from "./deliveries-filter.ts";

const tones: Readonly<Record<DeliveryState, Tone>> = {
  [DeliveryState.UNSPECIFIED]: "calm",
  [DeliveryState.WAITING]: "warn",
  [DeliveryState.DELIVERED]: "good",
  [DeliveryState.GIVEN_UP]: "bad",
};

/** Shows the state. */
export function DeliveryBadge({ delivery: { state, nextAttemptTime } }: { readonly delivery: Delivery }) {
  return (
    <>
      <Badge tone={tones[state] ?? "calm"}>{deliveryStates.nameOf(state).replaceAll("_", " ")}</Badge>
      {nextAttemptTime !== undefined && (
        <>
          , next <Time at={nextAttemptTime} as="age" />
        </>
      )}
    </>
  );
}
