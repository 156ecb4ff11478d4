/** Columns of the table of installations. */
import { type Installation, InstallationState } from "@api/installation_pb.js";
import { createColumnHelper } from "@tanstack/react-table";
import { ActionButton } from "../../ui/action-button.tsx";
import type { TableAbilities } from "../../ui/data-table.tsx";
import { formatCount, withUnit } from "../../ui/format.ts";
import { InstallationBadge } from "../../ui/installation-state.tsx";
import { MachineLink } from "../../ui/machine-link.tsx";
import { SafeText } from "../../ui/safe-text.tsx";
import { Time } from "../../ui/time.tsx";

/** How much of a text a cell shows, in characters. */
const cellLimit = 60;

/** What can be done about an installation, and what does it. */
export interface InstallationActions {
  /** Why the caller may do none of it; undefined otherwise. */
  readonly reason: string | undefined;
  readonly onRetry: (installation: Installation) => void;
  readonly onCancel: (installation: Installation) => void;
}

const helper = createColumnHelper<TableAbilities, Installation>();

/** Returns all columns. */
export function makeInstallationColumns(actions: InstallationActions) {
  return helper.columns([
    helper.accessor("machineId", {
      header: "Machine",
      cell: ({ getValue }) => <MachineLink machineId={getValue()} />,
    }),
    helper.accessor("generation", { header: "No.", cell: ({ getValue }) => formatCount(getValue()) }),
    helper.accessor("state", {
      header: "State",
      cell: ({ getValue }) => <InstallationBadge state={getValue()} />,
    }),
    helper.display({
      id: "actions",
      header: "",
      cell: ({ row }) => <Actions installation={row.original} actions={actions} />,
    }),
    helper.display({ id: "step", header: "Progress", cell: ({ row }) => <Step installation={row.original} /> }),
    helper.accessor("dueTime", {
      header: "Overdue",
      cell: ({ getValue, row }) =>
        getValue() === undefined || row.original.endTime !== undefined ? "" : <Time at={getValue()} as="age" />,
    }),
    helper.accessor("stateTime", { header: "Since", cell: ({ getValue }) => <Time at={getValue()} as="age" /> }),
    helper.accessor((installation) => describeTarget(installation), {
      id: "target",
      header: "What",
      cell: ({ getValue }) => <SafeText text={getValue()} limit={cellLimit} />,
    }),
    helper.accessor("requester", {
      header: "Requested",
      cell: ({ getValue, row }) => (
        <>
          <Time at={row.original.requestTime} as="age" /> by <SafeText text={getValue()} limit={40} />
        </>
      ),
    }),
  ]);
}

/** Shows the error, or how far the agent says it is. */
function Step({ installation: { progress, error, state } }: { readonly installation: Installation }) {
  if (error !== "") return <SafeText text={error} limit={cellLimit} />;
  if (progress === undefined || state === InstallationState.SUCCEEDED) return "";
  const { percent, phase } = progress;
  return (
    <>
      {percent !== undefined && (
        <>
          <progress max={100} value={percent} aria-label="Progress" /> {withUnit(formatCount(percent), "%")}{" "}
        </>
      )}
      <SafeText text={phase} limit={cellLimit} />
    </>
  );
}

function Actions(props: { readonly installation: Installation; readonly actions: InstallationActions }) {
  const { installation, actions } = props;
  const { machineId, state } = installation;
  const isStuck = state === InstallationState.FAILED || state === InstallationState.OVERDUE;
  if (!isStuck && state !== InstallationState.PENDING) return "";
  return (
    <ActionButton reason={actions.reason} onClick={() => (isStuck ? actions.onRetry : actions.onCancel)(installation)}>
      {isStuck ? "Install again" : "Cancel"}
      <span className="visually-hidden"> on {machineId}</span>…
    </ActionButton>
  );
}

function describeTarget({ target, disk }: Installation): string {
  const type = target?.type;
  const where = [disk?.model, disk?.serialNumber].filter(Boolean).join(" ") || type?.value?.rootDevice || "";
  const on = where === "" ? "" : ` on ${where}`;
  if (type?.case === "image") return `${nameImage(type.value.url)}${on}`;
  if (type?.case !== "metropolis") return "";
  const { host = "", repository = "", tag = "" } = type.value.osImage ?? {};
  return `${host}/${repository}${tag && `:${tag}`}${on}`;
}

/** Names an image by its file and its host, between which a narrow column can break the line. */
function nameImage(url: string): string {
  if (!URL.canParse(url)) return url;
  const { host, pathname } = new URL(url);
  const file = pathname.split("/").at(-1);
  return file ? `${file} from ${host}` : url;
}
