/** `bmaas machines watch` */
import { create } from "@bufbuild/protobuf";
import { timestampDate } from "@bufbuild/protobuf/wkt";
import { Command } from "commander";
import {
  MachineFilterSchema,
  type WatchMachinesResponse,
  WatchMachinesResponseSchema,
} from "../../../gen/bmaas/admin/v1/machine_service_pb.js";
import { printable } from "../../base/printable.ts";
import { formatInstant } from "../../base/time-text.ts";
import { findRun } from "../operator/event-text.ts";
import { followMachines } from "../operator/follow-machines.ts";
import { toIssueText } from "../operator/issue-text.ts";
import { addOperatorOptions, type OperatorFlags, operate } from "../operator/operate.ts";
import { messageToJson, note, paint, print, printJson, type Style } from "../operator/output.ts";
import { parseSelector, selectorHelp } from "../operator/selector.ts";
import { showEnrolmentState, showMachineState } from "../operator/state-names.ts";
import { addSelector, type TargetFlags } from "../operator/targets.ts";

interface WatchFlags extends OperatorFlags, TargetFlags {
  readonly from?: string;
  readonly enrolments?: boolean;
}

/** Creates the command `bmaas machines watch`. */
export function watchCommand(): Command {
  const command = addSelector(new Command("watch"))
    .description("follow changes of machines until Ctrl-C, across restarts of the server")
    .option("--enrolments", "also show agents that ask to be let in, and what becomes of them")
    .option("--from <token>", "resume from this token of an earlier watch or list (default: now)")
    .action(
      operate(async (operator, { selector = [], from = "", enrolments = false, json }: WatchFlags) => {
        const filter = selector.length === 0 ? create(MachineFilterSchema) : parseSelector(selector);
        const onConnection = (trouble: Error | undefined) =>
          note(trouble === undefined ? "bmaas: watching again" : "bmaas: the server is unreachable; waiting for it");
        if (process.stderr.isTTY) note("watching; press Ctrl-C to stop");
        for await (const event of followMachines(operator, { filter, enrolments, resumeToken: from, onConnection })) {
          if (event.kind === "") continue;
          if (json) printJson(messageToJson(WatchMachinesResponseSchema, event), { oneLine: true });
          else print(describeEvent(event));
        }
      }),
    );
  return addOperatorOptions(command, {
    examples: [
      "bmaas machines watch --selector provider=equinix",
      "bmaas machines watch --json | jq --unbuffered -r 'select(.kind == \"installation_reported\") | .machineId'",
    ],
    more: [
      selectorHelp,
      "\nNo change is missed while the connection is lost, but some may be shown twice. A selector applies to the machine" +
        "\nas it is after the change." +
        "\n\nWith --json: one WatchMachinesResponse of bmaas.admin.v1 per line. --from takes its resumeToken.",
    ],
  });
}

function describeEvent(event: WatchMachinesResponse): string {
  const { eventTime, machineId, enrolmentId, kind, actor, detail, issue } = event;
  const first = eventTime === undefined ? "" : formatInstant(timestampDate(eventTime));
  const run = findRun({ kind, detail });
  const time = run === undefined ? first : formatInstant(run.lastTime);
  const { text, style } = showState(event);
  const generation = detail.generation === undefined ? "" : ` ${printable(detail.generation)}`;
  const times = run === undefined ? "" : ` ${run.times} times since ${first}`;
  const who = actor === "" ? "" : `  by ${printable(actor)}`;
  const id = printable(machineId || enrolmentId || "the server");
  if (issue !== undefined) return `${time}  ${id}  ${paint(text, style)}  ${printable(kind)}  ${toIssueText(issue)}`;
  return `${time}  ${id}  ${paint(text, style)}  ${printable(kind)}${generation}${times}${who}`;
}

function showState({ enrolmentId, enrolment, machine, machineId }: WatchMachinesResponse): {
  text: string;
  style?: Style | undefined;
} {
  if (enrolmentId !== "") return enrolment === undefined ? { text: "gone" } : showEnrolmentState(enrolment.state);
  if (machineId === "") return { text: "-" };
  return machine === undefined ? { text: "deleted" } : showMachineState(machine.state);
}
