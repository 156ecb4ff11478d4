/** Installations of the machine, the newest first: how far each is, when it becomes overdue, and how it ended. */
import { type Installation, InstallationState } from "@api/installation_pb.js";
import { InstallationService } from "@api/installation_service_pb.js";
import type { Machine } from "@api/machine_pb.js";
import { useQuery } from "@connectrpc/connect-query";
import { useMemo } from "react";
import { CopyableCommand } from "../../ui/copy.tsx";
import { describeDisk } from "../../ui/disk-text.ts";
import { ErrorNote } from "../../ui/error-note.tsx";
import { formatCount, withUnit } from "../../ui/format.ts";
import { InstallationBadge } from "../../ui/installation-state.tsx";
import { ReadOn } from "../../ui/paged-table.tsx";
import { SafeText } from "../../ui/safe-text.tsx";
import { Time } from "../../ui/time.tsx";
import { usePages } from "../../ui/use-pages.ts";

/** Installations in a page of the API. */
const pageSize = 5;

const pick = (answer: { readonly installations: readonly Installation[] }) => answer.installations;

/** Shows the installations page by page. */
export function InstallationsPanel({ machine }: { readonly machine: Machine }) {
  const request = useMemo(() => ({ machineId: machine.id }), [machine.id]);
  const pages = usePages({ method: InstallationService.method.listInstallations, request, pick, pageSize });
  const { rows: listed, error, retry, isPending } = pages;
  const newest = machine.installation;
  // Live changes bring the newest one sooner than the list.
  const older = listed.filter(({ generation }) => generation !== newest?.generation);
  const installations = newest === undefined ? older : [newest, ...older];
  return (
    <section className="card" id="installations" tabIndex={-1} aria-labelledby="installations-title">
      <h2 id="installations-title">Installations</h2>
      {error !== null && <ErrorNote error={error} onRetry={retry} />}
      {!isPending && error === null && installations.length === 0 && (
        <p className="quiet">No installation was ever requested of this machine.</p>
      )}
      <ol className="plain installations">
        {installations.map((installation) => (
          <li key={String(installation.generation)}>
            <InstallationRow installation={installation} />
          </li>
        ))}
      </ol>
      <ReadOn pages={pages} what="Earlier installations" />
      <CopyableCommand command={`bmaas install list --machine ${machine.id}`} />
    </section>
  );
}

function InstallationRow({ installation }: { readonly installation: Installation }) {
  const { generation, state, stateTime, progress, error, requester, requestTime, timesGiven, disk, target } =
    installation;
  const isOpen = installation.endTime === undefined;
  return (
    <>
      <div>
        <b>Generation {formatCount(generation)}</b> <InstallationBadge state={state} /> <Time at={stateTime} as="age" />
      </div>
      {isOpen && progress !== undefined && (
        <div>
          {progress.percent !== undefined && (
            <progress max={100} value={progress.percent} aria-label="Progress of the installation" />
          )}{" "}
          {progress.percent !== undefined && `${withUnit(formatCount(progress.percent), "%")} `}
          <SafeText text={progress.phase} limit={120} />{" "}
          <span className="quiet">
            reported <Time at={progress.reportTime} as="age" />
          </span>
        </div>
      )}
      {isOpen && installation.dueTime !== undefined && (
        <div className="quiet">
          {state === InstallationState.OVERDUE ? "overdue since" : "overdue"}{" "}
          <Time at={installation.dueTime} as="age" />{" "}
          {state !== InstallationState.OVERDUE && "unless the agent reports before"}
        </div>
      )}
      {state === InstallationState.PENDING && <Withheld installation={installation} />}
      {error !== "" && (
        <div className="trouble">
          <SafeText text={error} />
        </div>
      )}
      <div className="quiet">
        <SafeText text={nameTarget(target)} />
        {disk !== undefined && (
          <>
            {" on "}
            <SafeText text={describeDisk(disk)} />
          </>
        )}
      </div>
      <div className="quiet">
        requested <Time at={requestTime} /> by <SafeText text={requester} limit={80} />
        {timesGiven > 0n && `, given ${formatCount(timesGiven)} times`}
      </div>
    </>
  );
}

function Withheld({ installation: { machineId, generation } }: { readonly installation: Installation }) {
  const query = useQuery(InstallationService.method.getInstallation, { machineId, generation });
  const reasons = query.data?.installation?.withheld ?? [];
  if (reasons.length === 0) return null;
  return (
    <div>
      Given to no agent: <SafeText text={reasons.join("; ")} />
    </div>
  );
}

function nameTarget(target: Installation["target"]): string {
  if (target?.type.case === "image") return target.type.value.url;
  const image = target?.type.case === "metropolis" ? target.type.value.osImage : undefined;
  if (image === undefined) return "an unknown operating system";
  return `${image.host}/${image.repository}${image.tag === "" ? "" : `:${image.tag}`}`;
}
