/** What is wrong with the machine: its hold, its issues, and the health alerts that programs and its agent have put. */
import { HealthEffect, HealthService } from "@api/health_service_pb.js";
import type { Issue } from "@api/issue_pb.js";
import type { Hold, Machine } from "@api/machine_pb.js";
import { MachineService } from "@api/machine_service_pb.js";
import { Role } from "@api/role_pb.js";
import type { Timestamp } from "@bufbuild/protobuf/wkt";
import { useQuery } from "@connectrpc/connect-query";
import { useState } from "react";
import { ClearAlerts } from "../../actions/health-dialogs.tsx";
import { useRefreshAt } from "../../live/use-refresh-at.ts";
import { useMay } from "../../session/use-session.ts";
import { ActionButton } from "../../ui/action-button.tsx";
import { CopyableCommand } from "../../ui/copy.tsx";
import { QueryError } from "../../ui/error-note.tsx";
import { HoldBadge } from "../../ui/hold-badge.tsx";
import { SafeText } from "../../ui/safe-text.tsx";
import { ServerText } from "../../ui/server-text.tsx";
import { HealthSeverityBadge, IssueSeverityBadge } from "../../ui/severity.tsx";
import { Ticket } from "../../ui/ticket.tsx";
import { Time, useIsPast } from "../../ui/time.tsx";
import { IssueDialog } from "../issues/issue-dialog.tsx";

/** Shows what there is; nothing if nothing is wrong. */
export function TroublePanel({ machine }: { readonly machine: Machine }) {
  const { hold, issues, health } = machine;
  if (hold === undefined && issues.length === 0 && health === undefined) return null;
  return (
    <div className="overview">
      {hold !== undefined && <HoldCard hold={hold} />}
      {issues.length > 0 && <IssuesCard issues={issues} />}
      {health !== undefined && <HealthCard machineId={machine.id} />}
    </div>
  );
}

function HoldCard({ hold }: { readonly hold: Hold }) {
  const hasEnded = useIsPast(hold.endTime);
  return (
    <section className="card">
      <h2>
        Hold <HoldBadge hold={hold} />
      </h2>
      <p>
        <SafeText text={hold.reason} />
        {hold.ticket !== "" && (
          <>
            {" ("}
            <Ticket text={hold.ticket} />)
          </>
        )}
      </p>
      <p className="quiet">
        by <SafeText text={hold.actor} limit={80} />, <Time at={hold.holdTime} as="age" />
        {hold.endTime === undefined ? ", until it is released" : hasEnded ? ", ended " : ", ends "}
        {hold.endTime !== undefined && <Time at={hold.endTime} as="age" />}
      </p>
    </section>
  );
}

function IssuesCard({ issues }: { readonly issues: Machine["issues"] }) {
  const [opened, setOpened] = useState<Issue>();
  return (
    <section className="card">
      <h2>Issues</h2>
      <ul className="plain">
        {issues.map((issue) => {
          const { type, target, severity, sinceTime, summary, detail } = issue;
          return (
            <li key={`${type} ${target}`}>
              <IssueSeverityBadge severity={severity} /> <b>{type.replaceAll("_", " ")}</b>{" "}
              <SafeText text={target} limit={80} />{" "}
              <span className="quiet">
                <Time at={sinceTime} as="lasting" />
              </span>
              <div>
                <SafeText text={summary} />
              </div>
              {detail !== "" && (
                <div className="quiet">
                  <ServerText text={detail} />
                </div>
              )}
              <button type="button" className="link" onClick={() => setOpened(issue)}>
                What it means, and what to do<span className="visually-hidden"> about {type.replaceAll("_", " ")}</span>
              </button>
            </li>
          );
        })}
      </ul>
      {opened !== undefined && <IssueDialog issue={opened} onClose={() => setOpened(undefined)} />}
    </section>
  );
}

const effects: Readonly<Record<HealthEffect, string>> = {
  [HealthEffect.UNSPECIFIED]: "",
  [HealthEffect.BLOCK_INSTALL]: "keeps installations away",
  [HealthEffect.MUTE]: "leaves the machine out of alerts",
};

function HealthCard({ machineId }: { readonly machineId: string }) {
  const query = useQuery(HealthService.method.getHealth, { machineId });
  const alerts = query.data?.alerts ?? [];
  useRefreshAt(
    [HealthService.method.getHealth, MachineService.method.getMachine, MachineService.method.explainMachine],
    alerts.map(({ endTime }) => endTime),
  );
  const { reason } = useMay(Role.OPERATOR);
  const [cleared, setCleared] = useState<string>();
  const sources = new Set(alerts.map(({ source }) => source));
  return (
    <section className="card" id="health" tabIndex={-1}>
      <h2>Health alerts</h2>
      <QueryError query={query} />
      <ul className="plain">
        {alerts.map((alert) => {
          return (
            <li key={JSON.stringify([alert.source, alert.id, alert.target])}>
              <HealthSeverityBadge severity={alert.severity} />{" "}
              <b>
                <SafeText text={alert.id} limit={80} />
              </b>{" "}
              <SafeText text={alert.target} limit={80} />
              <div>
                <SafeText text={alert.message} />
              </div>
              <div className="quiet">
                from <SafeText text={alert.source} limit={80} />, <Time at={alert.sinceTime} as="lasting" />,{" "}
                <AlertEnd at={alert.endTime} />
                {alert.effects.length > 0 && `; ${alert.effects.map((effect) => effects[effect] ?? "").join("; ")}`}
              </div>
            </li>
          );
        })}
      </ul>
      {[...sources].map((source) => (
        <ActionButton key={source} reason={reason} onClick={() => setCleared(source)}>
          Take back what {source} has put…
        </ActionButton>
      ))}
      <CopyableCommand command={`bmaas machines health ${machineId}`} />
      {cleared !== undefined && (
        <ClearAlerts machineId={machineId} source={cleared} onClose={() => setCleared(undefined)} />
      )}
    </section>
  );
}

function AlertEnd({ at }: { readonly at: Timestamp | undefined }) {
  const hasEnded = useIsPast(at);
  return (
    <>
      {hasEnded ? "ended" : "ends"} <Time at={at} as="age" />
      {!hasEnded && " unless it is put again"}
    </>
  );
}
