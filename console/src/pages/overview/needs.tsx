/** What needs somebody: issues by type, agents that wait to be let in, and machines that are held. */
import type { GetFleetResponse } from "@api/fleet_service_pb.js";
import { Link } from "@tanstack/react-router";
import { formatCount } from "../../ui/format.ts";
import { IssueSeverityBadge, issueSeverities } from "../../ui/severity.tsx";
import { Time } from "../../ui/time.tsx";

/** Shows what there is, the most urgent first, and leads to it. */
export function Needs({ fleet }: { readonly fleet: GetFleetResponse }) {
  const { issues, waitingEnrolments, oldestWaitingEnrolmentTime, groups } = fleet;
  const open = issues.filter((each) => each.issues > 0n).sort((a, b) => b.severity - a.severity);
  const held = groups.reduce((sum, group) => sum + group.heldMachines, 0n);
  return (
    <section className="card wide" aria-label="What needs somebody">
      <h2>What needs somebody</h2>
      {open.length === 0 && waitingEnrolments === 0n && (
        <p className="quiet">Nothing: no machine has an issue, and no agent waits to be let in.</p>
      )}
      <ul className="needs">
        {open.map(({ type, severity, issues: count }) => (
          <li key={`${type} ${severity}`}>
            <IssueSeverityBadge severity={severity} />{" "}
            <Link
              to="/issues"
              search={{ filter: [`type=${type}`, `severity=${issueSeverities.nameOf(severity)}`] }}
              aria-label={`${type.replaceAll("_", " ")}, ${issueSeverities.nameOf(severity)}`}
            >
              {type.replaceAll("_", " ")}
            </Link>{" "}
            {formatCount(count)}
          </li>
        ))}
        {waitingEnrolments > 0n && (
          <li>
            <Link to="/enrolments">agents that wait to be let in</Link> {formatCount(waitingEnrolments)}
            <span className="quiet">
              , the oldest <Time at={oldestWaitingEnrolmentTime} as="lasting" />
            </span>
          </li>
        )}
        {held > 0n && (
          <li>
            <Link to="/holds">machines that are held</Link> {formatCount(held)}
          </li>
        )}
      </ul>
    </section>
  );
}
