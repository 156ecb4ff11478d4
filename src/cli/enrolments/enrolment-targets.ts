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
import { parseMachineId } from "../../contract/machine-id.ts";
import type { TargetKind } from "../operator/act-on-each.ts";
import type { Operator } from "../operator/admin-client.ts";
import { argumentParser, collect } from "../operator/arguments.ts";
import { CommandFailure, exitStatus } from "../operator/exit-status.ts";
import { listPages } from "../operator/list-pages.ts";
import { parseAge, parseState, parseTerms, parseYesNo } from "../operator/selector.ts";
import { enrolmentStateNames } from "../operator/state-names.ts";
import type { Target, TargetFlags } from "../operator/targets.ts";

/** Names for enrolments as the targets of a command. */
export const enrolmentKind: TargetKind = { noun: "enrolments", idName: "enrolmentId" };

type FilterPart = Partial<Omit<EnrolmentFilter, "$typeName" | "$unknown">>;

const keys: Readonly<Record<string, (value: string) => FilterPart>> = {
  state: (value) => ({ states: [parseState(value, enrolmentStateNames)] }),
  address: (value) => ({ address: value }),
  serial: (value) => ({ serialNumber: value }),
  manufacturer: (value) => ({ manufacturer: value }),
  product: (value) => ({ product: value }),
  expected: (value) => ({ expected: parseYesNo(value) }),
  "older-than": (value) => ({ minAge: parseAge(value) }),
  id: (value) => ({ enrolmentIds: [parseEnrolmentId(value)] }),
};

/** Beginnings of terms, and terms with states in full, for completion in shells. */
export const enrolmentSelectorWords: readonly string[] = Object.keys(keys).flatMap((key) =>
  key === "state" ? enrolmentStateNames.names.map((name) => `state=${name}`) : `${key}=`,
);

/** Help for commands with a selector of enrolments. */
export const enrolmentSelectorHelp = `
A selector is a comma-separated list of conditions; an enrolment must match all of them:
  state                   ${enrolmentStateNames.names.join(", ")}; repeat to match any
  address                 IP address of the agent's last call
  serial                  serial number of the machine
  manufacturer, product   from the machine's firmware; write a comma in a value as \\,
  expected                yes: a machine is expected to be what the agent describes; no
  older-than              for example 15m, 2h; the agent first described its machine that long ago
  id                      an enrolment's id; repeat to match any`;

/** Parses an enrolment's id. */
export const enrolmentIdArgument = argumentParser(parseEnrolmentId);

/** Returns the canonical form of an enrolment's id, a UUID. Throws an error for any other text. */
function parseEnrolmentId(text: string): string {
  try {
    return parseMachineId(text);
  } catch {
    throw new Error("an enrolment's id is a UUID, from bmaas enrolments list");
  }
}

/** Adds the option that selects enrolments. */
export function addEnrolmentSelector(command: Command): Command {
  return command.option("--selector <name=value,…>", "select the enrolments that match all terms", collect);
}

/** Adds the arguments and options of a command that decides about enrolments. */
export function addEnrolments(command: Command): Command {
  const addOne = (text: string, before: readonly string[] = []) => [...new Set([...before, enrolmentIdArgument(text)])];
  return addEnrolmentSelector(command.argument("[enrolment-ids...]", "ids of the enrolments", addOne)).option(
    "--yes",
    "act on more than one enrolment without asking",
  );
}

/** Parses selectors to one filter, whose conditions must all hold. Throws ConfigError with every mistake. */
export function parseEnrolmentSelector(selectors: readonly string[]): EnrolmentFilter {
  const parts = parseTerms(selectors, { keys, repeatable: ["state", "id"] });
  const states = parts.flatMap((part) => part.states ?? []);
  const enrolmentIds = parts.flatMap((part) => part.enrolmentIds ?? []);
  return create(EnrolmentFilterSchema, Object.assign({}, ...parts, { states, enrolmentIds }));
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
