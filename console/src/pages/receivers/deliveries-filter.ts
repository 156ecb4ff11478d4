/** The filter of the page of deliveries. */
import { DeliveryState } from "@api/receiver_service_pb.js";
import { type ConditionRules, oneOf, splitCondition } from "../../ui/conditions.ts";
import { namesOf } from "../../ui/enum-names.ts";

/** States of deliveries by name. */
export const deliveryStates = namesOf<DeliveryState>(DeliveryState);

/** What a condition may be. */
export const deliveryRules: ConditionRules<DeliveryState> = {
  parse: (text) => {
    const { key, value } = splitCondition(text);
    if (key !== "state") throw new Error(`There is no condition "${key}": there is state.`);
    return oneOf(deliveryStates.find, value, deliveryStates.names);
  },
  repeatable: ["state"],
  suggestions: deliveryStates.names.map((name) => `state=${name}`),
};
