/** Formats an installation for people. */
import type { Installation, InstallationTarget } from "../../../gen/bmaas/admin/v1/installation_pb.js";
import { shorten } from "../text-width.ts";
import { describeDisk, formatNamedDisk } from "./disk-text.ts";
import type { Cell, Field } from "./output.ts";
import { showInstallationState } from "./state-names.ts";
import { ageOf, timeOf } from "./timestamp-text.ts";

/** The columns of `toInstallationRow`. */
export const installationHeader = ["MACHINE", "GENERATION", "STATE", "SINCE", "REQUESTED BY", "TARGET", "PROGRESS"];

/** Maximum width of a cell, in columns. `install get` shows the whole text. */
const maxCellWidth = 60;

/** Returns an installation as a row of a table. */
export function toInstallationRow(installation: Installation): Cell[] {
  const { machineId, generation, state, stateTime, requester, target } = installation;
  return [
    machineId,
    generation.toString(),
    showInstallationState(state),
    ageOf(stateTime),
    requester,
    shorten(describeTarget(target), maxCellWidth),
    shorten(describeStep(installation), maxCellWidth),
  ];
}

/** Returns all fields of an installation. */
export function listInstallationFields(installation: Installation): Field[] {
  const { generation, state, stateTime, target, timesGiven, progress, error, withheld } = installation;
  return [
    ["installation", `generation ${generation}: ${describeTarget(target)}`],
    ["disk", installation.disk && describeDisk(installation.disk)],
    ["disk requested", target?.disk && formatNamedDisk(target.disk)],
    ["stands", showInstallationState(state)],
    ["since", timeOf(stateTime)],
    ["withheld", withheld.map((reason) => `because ${reason}`).join(", and ") || undefined],
    ["requested", `${timeOf(installation.requestTime)} by ${installation.requester}`],
    ["first given", timeOf(installation.firstGivenTime)],
    ["last given", timesGiven > 1n ? `${timeOf(installation.lastGivenTime)}, ${timesGiven} times in total` : undefined],
    ["progress", progress && `${describeStep(installation)}, ${timeOf(progress.reportTime)}`],
    ["due", installation.endTime === undefined ? timeOf(installation.dueTime) : undefined],
    ["ended", timeOf(installation.endTime)],
    ["error", error],
  ];
}

/** Returns the error, or the step that the agent reports, such as "40 % writing the image". */
function describeStep({ progress, error }: Installation): string {
  if (error !== "") return error;
  if (progress === undefined) return "-";
  const percent = progress.percent === undefined ? "" : `${progress.percent} %`;
  return [percent, progress.phase].filter(Boolean).join(" ") || "-";
}

function describeTarget(target: InstallationTarget | undefined): string {
  switch (target?.type.case) {
    case "image":
      return `${target.type.value.url} on ${target.type.value.rootDevice}`;
    case "metropolis": {
      const { osImage, rootDevice } = target.type.value;
      const tag = osImage?.tag ? `:${osImage.tag}` : "";
      return `metropolis ${osImage?.host}/${osImage?.repository}${tag} on ${rootDevice}`;
    }
    default:
      return "of a kind that this version of bmaas does not know";
  }
}
