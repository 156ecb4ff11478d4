/** What is wrong with the machine: its hold, its issues, and the health alerts that programs and its agent have put. */
import { HealthEffect, HealthService } from "@api/health_service_pb.js";
import { IssueSeverity } from "@api/issue_pb.js";
import { HealthSeverity, type Machine } from "@api/machine_pb.js";
import { useQuery } from "@connectrpc/connect-query";
import { CopyableCommand } from "../../ui/copy.tsx";
import { QueryError } from "../../ui/error-note.tsx";
import { Badge } from "../../ui/machine-state.tsx";
import { SafeText } from "../../ui/safe-text.tsx";
import { Time } from "../../ui/time.tsx";

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

function HoldCard({ hold }: { readonly hold: NonNullable<Machine["hold"]> }) {
  return (
    <section className="card">
      <h2>
        Held <Badge tone="warn">{hold.muted ? "held and muted" : "held"}</Badge>
      </h2>
      <p>
        <SafeText text={hold.reason} />
        {hold.ticket !== "" && (
          <>
            {" ("}
            <SafeText text={hold.ticket} />)
          </>
        )}
      </p>
      <p className="quiet">
        by <SafeText text={hold.actor} limit={80} />, <Time at={hold.holdTime} as="age" />
        {hold.endTime === undefined ? ", until it is released" : ", ends "}
        {hold.endTime !== undefined && <Time at={hold.endTime} as="age" />}
      </p>
    </section>
  );
}

const issueTones = {
  [IssueSeverity.UNSPECIFIED]: ["unknown", "calm"],
  [IssueSeverity.INFO]: ["info", "calm"],
  [IssueSeverity.WARNING]: ["warning", "warn"],
  [IssueSeverity.CRITICAL]: ["critical", "bad"],
} as const;

function IssuesCard({ issues }: { readonly issues: Machine["issues"] }) {
  return (
    <section className="card">
      <h2>Issues</h2>
      <ul className="plain">
        {issues.map(({ type, target, severity, sinceTime, summary, detail }) => {
          const [name, tone] = issueTones[severity] ?? ["unknown", "calm"];
          return (
            <li key={`${type} ${target}`}>
              <Badge tone={tone}>{name}</Badge> <b>{type.replaceAll("_", " ")}</b> <SafeText text={target} limit={80} />{" "}
              <span className="quiet">
                since <Time at={sinceTime} as="age" />
              </span>
              <div>
                <SafeText text={summary} />
              </div>
              {detail !== "" && (
                <div className="quiet">
                  <SafeText text={detail} />
                </div>
              )}
            </li>
          );
        })}
      </ul>
    </section>
  );
}

const healthTones = {
  [HealthSeverity.UNSPECIFIED]: ["unknown", "calm"],
  [HealthSeverity.INFO]: ["info", "calm"],
  [HealthSeverity.WARNING]: ["warning", "warn"],
  [HealthSeverity.CRITICAL]: ["critical", "bad"],
} as const;

const effects: Readonly<Record<HealthEffect, string>> = {
  [HealthEffect.UNSPECIFIED]: "",
  [HealthEffect.BLOCK_INSTALL]: "keeps installations away",
  [HealthEffect.MUTE]: "leaves the machine out of alerts",
};

function HealthCard({ machineId }: { readonly machineId: string }) {
  const query = useQuery(HealthService.method.getHealth, { machineId });
  return (
    <section className="card" id="health" tabIndex={-1}>
      <h2>Health alerts</h2>
      <QueryError query={query} />
      <ul className="plain">
        {(query.data?.alerts ?? []).map((alert) => {
          const [name, tone] = healthTones[alert.severity] ?? ["unknown", "calm"];
          return (
            <li key={JSON.stringify([alert.source, alert.id, alert.target])}>
              <Badge tone={tone}>{name}</Badge>{" "}
              <b>
                <SafeText text={alert.id} limit={80} />
              </b>{" "}
              <SafeText text={alert.target} limit={80} />
              <div>
                <SafeText text={alert.message} />
              </div>
              <div className="quiet">
                from <SafeText text={alert.source} limit={80} />, since <Time at={alert.sinceTime} as="age" />, ends{" "}
                <Time at={alert.endTime} as="age" /> unless it is put again
                {alert.effects.length > 0 && `; ${alert.effects.map((effect) => effects[effect] ?? "").join("; ")}`}
              </div>
            </li>
          );
        })}
      </ul>
      <CopyableCommand command={`bmaas machines health ${machineId}`} />
    </section>
  );
}
