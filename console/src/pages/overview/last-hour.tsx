/** Curves of the last hour, from what the server samples itself. */
import { type FleetSample, FleetService } from "@api/fleet_service_pb.js";
import { MachineState } from "@api/machine_pb.js";
import { useQuery } from "@connectrpc/connect-query";
import { useMemo } from "react";
import { type Curve, Curves } from "../../ui/curves/curves.tsx";
import { QueryError } from "../../ui/error-note.tsx";
import { underWayStates } from "../../ui/machine-state.tsx";
import { toDate } from "../../ui/time.tsx";

/** The server samples every 30 s. */
const refreshMs = 30_000;

/** Shows the curves. */
export function LastHour() {
  const query = useQuery(FleetService.method.listFleetSamples, {}, { refetchInterval: refreshMs });
  const { times, heartbeats, installations } = useMemo(() => toCurves(query.data?.samples ?? []), [query.data]);
  return (
    <>
      <QueryError query={query} />
      <Curves title="Heartbeats" unit="per second" times={times} curves={heartbeats} />
      <Curves title="Installations" unit="machines" times={times} curves={installations} />
    </>
  );
}

function toCurves(samples: readonly FleetSample[]): {
  times: readonly number[];
  heartbeats: readonly Curve[];
  installations: readonly Curve[];
} {
  const count = (sample: FleetSample, states: readonly MachineState[]) =>
    sample.states.reduce((sum, each) => sum + (states.includes(each.state) ? Number(each.machines) : 0), 0);
  const curveOf = (name: string, colour: string, states: readonly MachineState[]): Curve => ({
    name,
    colour,
    values: samples.map((sample) => count(sample, states)),
  });
  return {
    times: samples.map(({ sampleTime }) => (sampleTime === undefined ? 0 : toDate(sampleTime).getTime() / 1_000)),
    heartbeats: [
      {
        name: "heartbeats",
        colour: "--good",
        values: samples.map(({ heartbeatsPerSecond }) => heartbeatsPerSecond ?? null),
      },
    ],
    installations: [
      curveOf("under way", "--busy", underWayStates),
      curveOf("overdue", "--warn", [MachineState.INSTALLATION_OVERDUE]),
      curveOf("failed", "--bad", [MachineState.INSTALLATION_FAILED]),
    ],
  };
}
