/** The file that a command for many machines reads. */
import { CopyButton } from "../ui/copy.tsx";
import { formatCount } from "../ui/format.ts";
import { idsFile, needsIdsFile, type Targets } from "./targets.ts";

/** Says what is in the file, and copies it; nothing where the command names its machines. */
export function IdsFile({ targets }: { readonly targets: Targets }) {
  if (!needsIdsFile(targets)) return null;
  const { machines } = targets;
  return (
    <p className="quiet">
      <code>{idsFile}</code> has the ids of these {formatCount(machines.length)} machines.{" "}
      <CopyButton text={() => machines.map(({ machineId }) => `${machineId}\n`).join("")} label="Copy the ids" />
    </p>
  );
}
