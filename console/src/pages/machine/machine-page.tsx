/** One machine: what is with it and what to do, what it is, and what happened to it. */
import type { Machine } from "@api/machine_pb.js";
import { MachineService } from "@api/machine_service_pb.js";
import { Code, ConnectError } from "@connectrpc/connect";
import { useQuery } from "@connectrpc/connect-query";
import { Link, useParams } from "@tanstack/react-router";
import { useState } from "react";
import type { ActionName } from "../../actions/action-rows.ts";
import { DialogOf } from "../../actions/dialog-of.tsx";
import { type Targets, toTargets } from "../../actions/targets.ts";
import { useChanges } from "../../live/live-provider.tsx";
import { useRefreshAt } from "../../live/use-refresh-at.ts";
import { isPassing } from "../../query-client.ts";
import { CopyableCommand, CopyButton } from "../../ui/copy.tsx";
import { ErrorNote } from "../../ui/error-note.tsx";
import { HoldBadge } from "../../ui/hold-badge.tsx";
import { Badge, StateBadge } from "../../ui/machine-state.tsx";
import { Time } from "../../ui/time.tsx";
import { Actions } from "./actions.tsx";
import { Bundle } from "./bundle.tsx";
import { ExplainPanel } from "./explain-panel.tsx";
import { Facts } from "./facts.tsx";
import { HardwarePanel } from "./hardware-panel.tsx";
import { InstallationsPanel } from "./installations-panel.tsx";
import { Timeline } from "./timeline.tsx";
import { TroublePanel } from "./trouble-panel.tsx";
import { useMachineChanges } from "./use-machine-changes.ts";

/** Heartbeats alone are no changes, so the time of the last one is asked for. */
const refreshMs = 10_000;

/** The page at /machines/$machineId. */
export function MachinePage() {
  const { machineId: given } = useParams({ from: "/machines/$machineId" });
  const machineId = given.toLowerCase();
  useMachineChanges(machineId);
  const query = useQuery(
    MachineService.method.getMachine,
    { machineId },
    { refetchInterval: ({ state: { error } }) => (error === null || isPassing(error) ? refreshMs : false) },
  );
  const isGone = query.isError && ConnectError.from(query.error).code === Code.NotFound;
  useChanges((changes) => {
    const isBack = changes.some((change) => change.machineId === machineId && change.machine !== undefined);
    if (isGone && isBack) void query.refetch();
  });
  const machine = isGone ? undefined : query.data?.machine;
  useRefreshAt([MachineService.method.getMachine, MachineService.method.explainMachine], [machine?.hold?.endTime]);
  return (
    <>
      <p>
        <Link to="/machines">Machines</Link>
      </p>
      <div className="machine-id">
        <h1 className="mono">{machineId.slice(0, 64)}</h1>
        <CopyButton text={machineId} />
      </div>
      {query.isPending && <p className="quiet">Loading…</p>}
      {query.isError && !isGone && <ErrorNote error={query.error} onRetry={() => void query.refetch()} />}
      {isGone && <Gone machineId={machineId} />}
      {/* Nothing of one machine, such as its explanation, may stand on the page of another. */}
      {machine !== undefined && <Present key={machine.id} machine={machine} />}
    </>
  );
}

function Present({ machine }: { readonly machine: Machine }) {
  const [opened, setOpened] = useState<{ readonly name: ActionName; readonly targets: Targets }>();
  const onAct = (name: ActionName) => setOpened({ name, targets: toTargets([machine]) });
  return (
    <>
      <p>
        <StateBadge state={machine.state} /> <Time at={machine.stateTime} as="lasting" />{" "}
        {machine.stateOverdueTime !== undefined && <Badge tone="warn">longer than allowed</Badge>}{" "}
        {machine.hold !== undefined && <HoldBadge hold={machine.hold} />}
      </p>
      <ExplainPanel machine={machine} onAct={onAct} />
      <Actions machine={machine} onAct={onAct} />
      <TroublePanel machine={machine} />
      <div className="overview">
        <InstallationsPanel machine={machine} />
        <Facts machine={machine} onAct={onAct} />
      </div>
      <div className="overview">
        <HardwarePanel machineId={machine.id} />
        <Timeline machineId={machine.id} />
      </div>
      <h2>In the terminal</h2>
      <CopyableCommand command={`bmaas machines get ${machine.id}`} />
      <h2>For a bug report or a colleague</h2>
      <Bundle machineId={machine.id} />
      {opened !== undefined && <DialogOf {...opened} onClose={() => setOpened(undefined)} />}
    </>
  );
}

/** What is on record of a machine that there is not. */
function Gone({ machineId }: { readonly machineId: string }) {
  return (
    <>
      <p role="status" className="explain warn">
        There is no machine with this id. It was deleted, or it never existed; its history below tells, for as long as
        it is kept.
      </p>
      <div className="overview">
        <Timeline machineId={machineId} />
      </div>
    </>
  );
}
