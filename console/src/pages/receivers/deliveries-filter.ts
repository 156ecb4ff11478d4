/** The filter of the page of deliveries. */
import { DeliveryState } from "@api/receiver_service_pb.js";
import { namesOf } from "../../../../src/contract/enum-names.ts";
import { parseName, readTerm, type TermRules } from "../../../../src/contract/selector-terms.ts";
import type { ConditionSearch } from "../../ui/condition-search.ts";

/** States of deliveries by name. */
export const deliveryStates = namesOf<DeliveryState>(DeliveryState);

/** What a condition may be. */
export const deliveryRules: TermRules<DeliveryState> = {
  keys: { state: (value) => parseName(value, deliveryStates) },
  repeatable: ["state"],
  words: deliveryStates.names.map((name) => `state=${name}`),
};

/** Returns the states to ask the API for. */
export function toDeliveryStates({ filter = [] }: ConditionSearch): DeliveryState[] {
  return filter.map((each) => readTerm(each, deliveryRules));
}
