/** The handler of FleetService.ListFleetSamples. */
import { create } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import {
  FleetSampleSchema,
  type ListFleetSamplesRequest,
  type ListFleetSamplesResponse,
  ListFleetSamplesResponseSchema,
  StateCountSchema,
} from "../../../gen/bmaas/admin/v1/fleet_service_pb.js";
import type { AdminContext } from "../admin-context.ts";
import { machineStates } from "../machine/to-machine.ts";
import type { FleetSample } from "./fleet-samples.ts";

/** Creates the handler of FleetService.ListFleetSamples. */
export function createListFleetSamples({ fleetSamples }: Pick<AdminContext, "fleetSamples">) {
  return (_request: ListFleetSamplesRequest): ListFleetSamplesResponse =>
    create(ListFleetSamplesResponseSchema, { samples: fleetSamples.list().map(toFleetSample) });
}

function toFleetSample({ at, machines, heartbeatsPerSecond }: FleetSample) {
  return create(FleetSampleSchema, {
    sampleTime: timestampFromDate(at),
    states: [...machines].map(([state, count]) =>
      create(StateCountSchema, { state: machineStates[state], machines: count }),
    ),
    ...(heartbeatsPerSecond !== undefined && { heartbeatsPerSecond }),
  });
}
