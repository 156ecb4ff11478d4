/** `bmaas machines health` */
import { readFile } from "node:fs/promises";
import { text } from "node:stream/consumers";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { Command } from "commander";
import {
  GetHealthResponseSchema,
  type HealthAlert,
  HealthEffect,
  HealthService,
  PutHealthResponseSchema,
} from "../../../gen/bmaas/admin/v1/health_service_pb.js";
import { HealthSeverity } from "../../../gen/bmaas/admin/v1/machine_pb.js";
import { ConfigError } from "../../config/config.ts";
import { parseHealthAlerts, type WrittenAlert } from "../../contract/health-alerts.ts";
import { InvalidFieldError } from "../../contract/installation-rules.ts";
import type { Operator } from "../operator/admin-client.ts";
import { lastingArgument, machineIdArgument } from "../operator/arguments.ts";
import { addOperatorOptions, type OperatorFlags, operate } from "../operator/operate.ts";
import { type Cell, note, printMessage, printTable } from "../operator/output.ts";
import { healthEffectNames, showHealthSeverity } from "../operator/state-names.ts";
import { ageOf } from "../operator/timestamp-text.ts";

interface HealthFlags extends OperatorFlags {
  readonly put?: string;
  readonly clear?: boolean;
  readonly source?: string;
  readonly ttl?: number;
}

/** Creates the command `bmaas machines health`. */
export function healthCommand(): Command {
  const command = new Command("health")
    .description("show a machine's health alerts, or replace those of one source")
    .argument("<machine-id>", "the machine", machineIdArgument)
    .option("--put <file>", "replace the source's alerts by those in a JSON file, or - for standard input")
    .option("--clear", "remove the source's alerts")
    .option("--source <name>", "the program that found the problems, for example burn-in")
    .option("--ttl <duration>", "how long the alerts count unless they are put again, 1s to 30d", lastingArgument)
    .action(
      operate(async (operator, flags: HealthFlags, machineId: string) => {
        const change = checkFlags(flags);
        if (change === undefined) return await showHealth(operator, flags, machineId);
        const alerts = change.put === undefined ? [] : await readAlerts(change.put);
        const response = await operator.client(HealthService).putHealth({
          machineId,
          source: change.source,
          alerts: alerts.map(toAlert),
          ttl: durationFromMs(change.ttlMs),
        });
        if (flags.json) printMessage(PutHealthResponseSchema, response);
        else printAlerts(response.alerts, `the machine has no alerts of ${change.source} now`);
      }),
    );
  return addOperatorOptions(command, {
    examples: [
      "bmaas machines health 4b9f3a52-2f0c-4a53-9d0e-6f1f3f1f9c11",
      "bmaas machines health 4b9f3a52-2f0c-4a53-9d0e-6f1f3f1f9c11 --put alerts.json --source burn-in --ttl 1d",
      "bmaas machines health 4b9f3a52-2f0c-4a53-9d0e-6f1f3f1f9c11 --clear --source burn-in",
    ],
    more: [
      `
The file is a list of alerts, which replaces all that the source has put before; those of other sources stay:
  [{ "id": "memtest", "target": "dimm3", "severity": "critical", "message": "4 errors", "effects": ["block_install"] }]
  id         what kind of problem it is; the same id and target again keep the time since which the alert exists
  target     the part of the machine, if it is not the whole
  severity   critical, warning or info
  message    one line for people
  effects    block_install: no installation is requested for the machine or given to its agent; mute: alerts and
             issues leave the machine out
A source can have 100 alerts on a machine, and 10 sources can have some.`,
      "\nThe machine's agent has the source agent: its alerts can be cleared, and it puts again what it still finds.",
      "\nWith --json: one GetHealthResponse of bmaas.admin.v1; with --put and --clear one PutHealthResponse.",
    ],
  });
}

/** A change of one source's alerts: the file with the new ones, or none to remove them. */
interface HealthChange {
  readonly put: string | undefined;
  readonly source: string;
  readonly ttlMs: number;
}

/** Returns the wanted change, or undefined if the health is to be shown. Throws ConfigError with every mistake. */
function checkFlags({ put, clear = false, source, ttl }: HealthFlags): HealthChange | undefined {
  const isChange = put !== undefined || clear;
  const mistakes = [
    put !== undefined && clear ? "--clear: has no use with --put, which replaces all alerts of the source" : "",
    isChange && source === undefined ? "--source: name the program that found the problems" : "",
    !isChange && source !== undefined ? "--source: has no use without --put or --clear" : "",
    put !== undefined && ttl === undefined ? "--ttl: say how long the alerts count, for example 1h" : "",
    put === undefined && ttl !== undefined ? "--ttl: has no use without --put" : "",
  ].filter((mistake) => mistake !== "");
  if (mistakes.length > 0) throw new ConfigError(mistakes);
  return isChange ? { put, source: source ?? "", ttlMs: ttl ?? 1000 } : undefined;
}

async function readAlerts(file: string): Promise<WrittenAlert[]> {
  let content: string;
  try {
    content = file === "-" ? await text(process.stdin) : await readFile(file, "utf8");
  } catch (error) {
    throw new ConfigError([`--put: ${(error as Error).message}`]);
  }
  try {
    return parseHealthAlerts(content);
  } catch (error) {
    if (!(error instanceof InvalidFieldError)) throw error;
    throw new ConfigError([`--put: ${file === "-" ? "standard input" : file}: ${error.message}`]);
  }
}

const severities = {
  critical: HealthSeverity.CRITICAL,
  warning: HealthSeverity.WARNING,
  info: HealthSeverity.INFO,
} as const satisfies Record<WrittenAlert["severity"], HealthSeverity>;

const effects = {
  block_install: HealthEffect.BLOCK_INSTALL,
  mute: HealthEffect.MUTE,
} as const satisfies Record<WrittenAlert["effects"][number], HealthEffect>;

function toAlert({ severity, effects: wanted, ...alert }: WrittenAlert) {
  return { ...alert, severity: severities[severity], effects: wanted.map((effect) => effects[effect]) };
}

async function showHealth(operator: Operator, { json }: HealthFlags, machineId: string): Promise<void> {
  const response = await operator.client(HealthService).getHealth({ machineId });
  if (json) printMessage(GetHealthResponseSchema, response);
  else printAlerts(response.alerts, "the machine has no health alerts");
}

function printAlerts(alerts: readonly HealthAlert[], none: string): void {
  const header = ["SEVERITY", "ALERT", "TARGET", "SOURCE", "SINCE", "ENDS", "EFFECTS", "MESSAGE"];
  if (alerts.length > 0) printTable(header, alerts.map(toRow));
  else note(none);
}

function toRow({ id, target, severity, source, sinceTime, endTime, effects: following, message }: HealthAlert): Cell[] {
  return [
    showHealthSeverity(severity),
    id,
    target || "-",
    source,
    ageOf(sinceTime),
    ageOf(endTime),
    following.map((effect) => healthEffectNames.nameOf(effect)).join(", ") || "-",
    message,
  ];
}
