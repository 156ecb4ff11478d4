/** Says how far a run is, and for which machines it failed, in the server's words. */
import type { RefusedDisk } from "@api/installation_service_pb.js";
import { DiskRefusalSchema } from "@api/installation_service_pb.js";
import { ConnectError } from "@connectrpc/connect";
import { describeError, ErrorNote } from "../ui/error-note.tsx";
import { formatBytes, formatCount } from "../ui/format.ts";
import { SafeText } from "../ui/safe-text.tsx";
import type { Failure, Progress } from "./run.ts";

/** How many failures are listed. */
const maxShown = 20;

/** Shows the progress of a run of several machines, and its failures. */
export function RunNote({ progress, doing }: { readonly progress: Progress | undefined; readonly doing: string }) {
  if (progress === undefined) return null;
  const { done, total, failures, isFinished } = progress;
  return (
    <>
      {total > 1 && (
        <p role="status">
          {doing}: {formatCount(done)} of {formatCount(total)}
          {isFinished ? "." : "…"} <progress max={total} value={done} aria-label={doing} />
        </p>
      )}
      <FailureList failures={failures} total={total} />
    </>
  );
}

/** Lists the machines that failed. Of one machine, only the error is shown, with its disks if they are the reason. */
export function FailureList(props: {
  readonly failures: readonly Failure[];
  readonly total: number;
  /** What the list begins with. */
  readonly what?: "Failed" | "Refused";
}) {
  const { failures, total, what = "Failed" } = props;
  const [first] = failures;
  if (first === undefined) return null;
  if (total === 1) {
    return (
      <>
        <ErrorNote error={first.error} />
        <RefusedDisks error={first.error} />
      </>
    );
  }
  return (
    <div role="alert" className="trouble">
      <p>
        {what} for {formatCount(failures.length)}:
      </p>
      <ul>
        {failures.slice(0, maxShown).map(({ machineId, error }) => (
          <li key={machineId}>
            <code>{machineId}</code> <SafeText text={describeError(error)} />
          </li>
        ))}
        {failures.length > maxShown && <li>and {formatCount(failures.length - maxShown)} more</li>}
      </ul>
    </div>
  );
}

function RefusedDisks({ error }: { readonly error: unknown }) {
  const disks = ConnectError.from(error)
    .findDetails(DiskRefusalSchema)
    .flatMap((refusal) => refusal.disks);
  if (disks.length === 0) return null;
  return (
    <>
      <h3>Disks of the machine</h3>
      <ul>
        {disks.map((disk) => (
          <li key={disk.selector + disk.disk?.kernelName}>
            <SafeText text={describeRefused(disk)} /> {disk.isMeant ? "(meant)" : ""}
            {disk.selector !== "" && (
              <>
                {": write "}
                <code>
                  <SafeText text={disk.selector} />
                </code>
              </>
            )}
          </li>
        ))}
      </ul>
    </>
  );
}

function describeRefused({ disk }: RefusedDisk): string {
  if (disk === undefined) return "a disk";
  const { kernelName, vendor, deviceModel, serialNumber, capacityBytes } = disk;
  return [kernelName, vendor, deviceModel, serialNumber, formatBytes(capacityBytes)].filter(Boolean).join(", ");
}
