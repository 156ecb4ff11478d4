/**
 * Parses health alerts as programs write them: JSON that operators give to `bmaas machines health --put`, and that the
 * command of `bmaas agent --health-command` prints.
 */
import { InvalidFieldError } from "./installation-rules.ts";

const severities = ["critical", "warning", "info"] as const;
const effects = ["block_install", "mute"] as const;

/** A health alert as a program writes it. */
export interface WrittenAlert {
  readonly id: string;
  /** Empty for the whole machine. */
  readonly target: string;
  readonly severity: (typeof severities)[number];
  /** One line; cut to what the contracts allow. */
  readonly message: string;
  readonly effects: readonly (typeof effects)[number][];
}

/** Maximum length of a message, in UTF-16 code units, as in the contracts. */
const maxMessageLength = 1024;

/** Fields of an alert that only servers write. They are ignored, so that an answer of a server can be sent back. */
const serversFields: ReadonlySet<string> = new Set(["source", "sinceTime", "endTime"]);

/**
 * Parses a list of alerts, or an object that has one under "alerts". Severities and effects may be in upper case, and
 * have the contract's prefixes. Throws InvalidFieldError with every mistake and its place.
 */
export function parseHealthAlerts(text: string): WrittenAlert[] {
  const written = parseJson(text);
  const list = isObject(written) && "alerts" in written ? written.alerts : written;
  if (!Array.isArray(list)) {
    throw new InvalidFieldError('is not a list of alerts; write one such as [{"id": "smart", "severity": "warning"}]');
  }
  const mistakes: string[] = [];
  const alerts = list.map((alert, index) => readAlert(alert, `alerts[${index}]`, mistakes));
  if (mistakes.length > 0) throw new InvalidFieldError(mistakes.join("; "));
  return alerts;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new InvalidFieldError(`is not JSON: ${(error as Error).message}`);
  }
}

function readAlert(alert: unknown, place: string, mistakes: string[]): WrittenAlert {
  const fields = isObject(alert) ? alert : {};
  if (!isObject(alert)) mistakes.push(`${place} is not an object`);
  const { id, target, severity, message, effects: wanted, ...others } = fields;
  for (const name of Object.keys(others)) {
    if (!serversFields.has(name)) {
      mistakes.push(`${place}.${name} is unknown; there are id, target, severity, message and effects`);
    }
  }
  const readText = (name: string, value: unknown = "") => {
    if (typeof value !== "string") mistakes.push(`${place}.${name} is not a text`);
    return String(value)
      .replaceAll(/[\s\p{Cc}]+/gu, " ")
      .trim();
  };
  const readName = <Name extends string>(at: string, names: readonly Name[], prefix: string, value: unknown): Name => {
    const found = names.find((name) => name === String(value).toLowerCase().replace(prefix, ""));
    if (found === undefined) mistakes.push(`${at} is none of ${names.join(", ")}`);
    return found ?? (names[0] as Name);
  };
  if (id === undefined || id === "") mistakes.push(`${place}.id is missing`);
  if (wanted !== undefined && !Array.isArray(wanted)) mistakes.push(`${place}.effects is not a list`);
  return {
    id: readText("id", id),
    target: readText("target", target),
    severity: readName(`${place}.severity`, severities, "health_severity_", severity),
    message: readText("message", message).slice(0, maxMessageLength).toWellFormed().trim(),
    effects: (Array.isArray(wanted) ? wanted : []).map((effect, index) =>
      readName(`${place}.effects[${index}]`, effects, "health_effect_", effect),
    ),
  };
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
