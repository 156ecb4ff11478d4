/** Determines the enrolments that a command acts on, by their ids or by a selector. */
import { create } from "@bufbuild/protobuf";
import type { Command } from "commander";
import type { Enrolment } from "../../../gen/bmaas/admin/v1/enrolment_pb.js";
import {
  type EnrolmentFilter,
  EnrolmentFilterSchema,
  EnrolmentService,
} from "../../../gen/bmaas/admin/v1/enrolment_service_pb.js";
import { ConfigError } from "../../config/config.ts";
import { enrolmentStates, enrolmentTerms, parseEnrolmentId } from "../../contract/enrolment-selector.ts";
import { joinParts } from "../../contract/selector-terms.ts";
import type { TargetKind } from "../operator/act-on-each.ts";
import type { Operator } from "../operator/admin-client.ts";
import { addOnce, argumentParser, collect } from "../operator/arguments.ts";
import { CommandFailure, exitStatus } from "../operator/exit-status.ts";
import { listPages } from "../operator/list-pages.ts";
import { parseTerms } from "../operator/selector.ts";
import type { Target, TargetFlags } from "../operator/targets.ts";

/** Names for enrolments as the targets of a command. */
export const enrolmentKind: TargetKind = { noun: "enrolments", idName: "enrolmentId" };

/** Help for commands with a selector of enrolments. */
export const enrolmentSelectorHelp = `
A selector is a comma-separated list of conditions; an enrolment must match all of them:
  state                   ${enrolmentStates.names.join(", ")}; repeat to match any
  address                 IP address of the agent's last call
  serial                  serial number of the machine
  manufacturer, product   from the machine's firmware; write a comma in a value as \\,
  expected                yes: a machine is expected to be what the agent describes; no
  older-than              for example 15m, 2h; the agent first described its machine that long ago
  id                      an enrolment's id; repeat to match any`;

/** Parses an enrolment's id. */
export const enrolmentIdArgument = argumentParser(parseEnrolmentId);

/** Adds the option that selects enrolments. */
export function addEnrolmentSelector(command: Command): Command {
  return command.option("--selector <name=value,…>", "select the enrolments that match all terms", collect);
}

/** Adds the arguments and options of a command that decides about enrolments. */
export function addEnrolments(command: Command): Command {
  const addOne = (text: string, before?: readonly string[]) => addOnce(enrolmentIdArgument(text), before);
  return addEnrolmentSelector(command.argument("[enrolment-ids...]", "ids of the enrolments", addOne)).option(
    "--yes",
    "act on more than one enrolment without asking",
  );
}

/** Parses selectors to one filter, whose conditions must all hold. Throws ConfigError with every mistake. */
export function parseEnrolmentSelector(selectors: readonly string[]): EnrolmentFilter {
  return create(EnrolmentFilterSchema, joinParts(parseTerms(selectors, enrolmentTerms)));
}

/** Returns the enrolments that pass the filter, newest first. */
export async function listEnrolments(
  operator: Operator,
  filter: EnrolmentFilter,
  limit?: number,
): Promise<Enrolment[]> {
  const client = operator.client(EnrolmentService);
  return await listPages(
    (page) => client.listEnrolments({ filter, ...page }),
    (answer) => answer.enrolments,
    limit,
  );
}

/**
 * Returns the enrolments that are named by ids or selectors. Throws ConfigError unless exactly one of the two is given,
 * and CommandFailure if none matches.
 */
export async function findEnrolmentTargets(
  operator: Operator,
  ids: readonly string[] | undefined = [],
  { selector }: TargetFlags,
): Promise<readonly Target[]> {
  if (selector === undefined) {
    if (ids.length === 0) throw new ConfigError(["name enrolments by id, or select them with --selector"]);
    return ids.map((machineId) => ({ machineId }));
  }
  if (ids.length > 0) throw new ConfigError(["give either enrolment ids or --selector, not both"]);
  const enrolments = await listEnrolments(operator, parseEnrolmentSelector(selector));
  if (enrolments.length === 0) throw new CommandFailure("no enrolment matches the selector", exitStatus.notFound);
  return enrolments.map(({ id: machineId }) => ({ machineId }));
}
