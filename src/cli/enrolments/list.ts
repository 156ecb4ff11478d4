/** `bmaas enrolments list` */
import { create } from "@bufbuild/protobuf";
import { Command } from "commander";
import { EnrolmentState } from "../../../gen/bmaas/admin/v1/enrolment_pb.js";
import {
  EnrolmentFilterSchema,
  ListEnrolmentsResponseSchema,
} from "../../../gen/bmaas/admin/v1/enrolment_service_pb.js";
import { limitArgument } from "../operator/arguments.ts";
import { addOperatorOptions, type OperatorFlags, operate } from "../operator/operate.ts";
import { note, printMessage, printTable } from "../operator/output.ts";
import type { TargetFlags } from "../operator/targets.ts";
import {
  addEnrolmentSelector,
  enrolmentSelectorHelp,
  listEnrolments,
  parseEnrolmentSelector,
} from "./enrolment-targets.ts";
import { enrolmentHeader, toEnrolmentRow } from "./enrolment-text.ts";

interface ListFlags extends OperatorFlags, TargetFlags {
  readonly all?: boolean;
  readonly limit?: number;
  readonly unexpected?: boolean;
}

/** Creates the command `bmaas enrolments list`. */
export function listCommand(): Command {
  const command = addEnrolmentSelector(new Command("list"))
    .description("list agents that wait to be let in, newest first")
    .option("--all", "also list those that are approved or rejected")
    .option("--unexpected", "list only those that no machine is expected to be")
    .option("--limit <number>", "maximum number to list (default: all)", limitArgument)
    .action(
      operate(async (operator, { selector, all = false, unexpected = false, limit, json }: ListFlags) => {
        const waiting = create(EnrolmentFilterSchema, { states: all ? [] : [EnrolmentState.WAITING] });
        const filter = selector === undefined ? waiting : parseEnrolmentSelector(selector);
        if (unexpected) filter.expected = false;
        const enrolments = await listEnrolments(operator, filter, limit);
        if (json) {
          return printMessage(ListEnrolmentsResponseSchema, create(ListEnrolmentsResponseSchema, { enrolments }));
        }
        if (enrolments.length > 0) printTable(enrolmentHeader, enrolments.map(toEnrolmentRow));
        note(enrolments.length === 1 ? "1 enrolment" : `${enrolments.length} enrolments`);
      }),
    );
  return addOperatorOptions(command, {
    examples: [
      "bmaas enrolments list",
      "bmaas enrolments list --unexpected",
      "bmaas enrolments list --selector state=rejected,older-than=1d",
    ],
    more: [
      enrolmentSelectorHelp,
      "\nWithout --all and --selector: only those that wait. With --json: one ListEnrolmentsResponse of bmaas.admin.v1.",
    ],
  });
}
