/** Whether a machine is held, which ends by itself at the hold's time. */
import type { Hold, Machine } from "@api/machine_pb.js";
import type { Timestamp } from "@bufbuild/protobuf/wkt";
import { Badge } from "./machine-state.tsx";
import { useIsPast } from "./time.tsx";

/** Says that a machine is held, and, until the server is asked again, that its hold has ended. */
export function HoldBadge({ hold }: { readonly hold: Hold }) {
  if (useIsPast(hold.endTime)) return <Badge tone="calm">hold ended</Badge>;
  return <Badge tone="warn">{hold.muted ? "held and muted" : "held"}</Badge>;
}

/** Returns when the holds of machines end, as far as they end by themselves. */
export function endsOfHolds(machines: readonly Machine[]): Timestamp[] {
  return machines.flatMap(({ hold }) => hold?.endTime ?? []);
}
