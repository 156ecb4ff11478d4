/**
 * Reads the OpenTelemetry variables that say where traces go
 * (opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables).
 */
import { InvalidValueError, quote } from "./values.ts";

/** Where to send traces, and how many. Contains secrets: never log it whole. */
export interface TracingConfig {
  /** URL that receives traces by OTLP over HTTP, in protobuf's binary form. */
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly serviceName: string;
  readonly resourceAttributes: Readonly<Record<string, string>>;
  /** Sampler that decides on a trace that begins here. */
  readonly sampler: "always_on" | "always_off" | "traceidratio";
  /** Fraction of the traces that "traceidratio" takes, from 0 to 1. */
  readonly ratio: number;
  /** Longest time that a span waits to be sent together with others, in milliseconds. */
  readonly sendDelayMs: number;
  /** Whether a caller's decision, if there is one, overrides the sampler's. */
  readonly isParentBased: boolean;
}

/** Variables that only this file reads. */
type Variable =
  | "OTEL_BSP_SCHEDULE_DELAY"
  | "OTEL_EXPORTER_OTLP_ENDPOINT"
  | "OTEL_EXPORTER_OTLP_HEADERS"
  | "OTEL_EXPORTER_OTLP_PROTOCOL"
  | "OTEL_RESOURCE_ATTRIBUTES"
  | "OTEL_SDK_DISABLED"
  | "OTEL_SERVICE_NAME"
  | "OTEL_TRACES_SAMPLER"
  | "OTEL_TRACES_SAMPLER_ARG";

/**
 * Reads the configuration of tracing. Returns undefined without an endpoint, and when the SDK is disabled. An invalid
 * value counts as unset, as the specification requires, since platforms set these variables for everything that runs on
 * them. Adds a sentence about each to `notes`.
 */
export function readTracing(
  environment: Readonly<Record<string, string | undefined>>,
  notes: string[],
): TracingConfig | undefined {
  const read = <T>(variable: Variable, parse: (text: string) => T): T | undefined => {
    const text = environment[variable]?.trim();
    if (text === undefined || text === "") return undefined;
    try {
      return parse(text);
    } catch (error) {
      if (!(error instanceof InvalidValueError)) throw error;
      notes.push(`${variable}: ${error.message}; it counts as unset`);
      return undefined;
    }
  };
  if (environment.OTEL_SDK_DISABLED?.trim().toLowerCase() === "true") return undefined;
  const url = read("OTEL_EXPORTER_OTLP_ENDPOINT", parseEndpoint);
  if (url === undefined) return undefined;
  read("OTEL_EXPORTER_OTLP_PROTOCOL", (text) => parseOneOf(text, ["http/protobuf"]));
  const headers = read("OTEL_EXPORTER_OTLP_HEADERS", parsePairs) ?? {};
  const resourceAttributes = read("OTEL_RESOURCE_ATTRIBUTES", parsePairs) ?? {};
  const serviceName = read("OTEL_SERVICE_NAME", (text) => text) ?? resourceAttributes["service.name"] ?? "bmaas";
  const name = read("OTEL_TRACES_SAMPLER", (text) => parseOneOf(text, samplers)) ?? "parentbased_always_on";
  const ratio = read("OTEL_TRACES_SAMPLER_ARG", parseRatio) ?? 1;
  const sendDelayMs = read("OTEL_BSP_SCHEDULE_DELAY", parseMilliseconds) ?? 5_000;
  const isParentBased = name.startsWith("parentbased_");
  const sampler = name.replace("parentbased_", "") as TracingConfig["sampler"];
  return { url, headers, serviceName, resourceAttributes, sampler, ratio, sendDelayMs, isParentBased };
}

const samplers = [
  "always_on",
  "always_off",
  "traceidratio",
  "parentbased_always_on",
  "parentbased_always_off",
  "parentbased_traceidratio",
] as const;

function parseOneOf<Known extends string>(text: string, known: readonly Known[]): Known {
  const found = known.find((each) => each === text);
  if (found === undefined) throw new InvalidValueError(`${quote(text)} is not one of ${known.join(", ")}`);
  return found;
}

/**
 * Parses the endpoint and adds the path of traces (opentelemetry.io/docs/specs/otel/protocol/exporter, "Endpoint
 * URLs").
 */
function parseEndpoint(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol)) {
    throw new InvalidValueError("is not an http or https URL, for example http://127.0.0.1:4318");
  }
  url.pathname = `${url.pathname.replace(/\/$/, "")}/v1/traces`;
  return url.href;
}

/**
 * Parses key=value,key=value with percent-encoded values. Error messages quote nothing, since headers contain secrets.
 */
function parsePairs(text: string): Record<string, string> {
  const pairs = text.split(",").filter((pair) => pair.trim() !== "");
  return Object.fromEntries(
    pairs.map((pair, index) => {
      const [, key, value] = /^\s*([^=\s]+)\s*=\s*(.*?)\s*$/.exec(pair) ?? [];
      const decoded = value === undefined ? undefined : decodePercent(value);
      if (key === undefined || decoded === undefined) {
        throw new InvalidValueError(`part ${index + 1} is not KEY=VALUE with a percent-encoded value`);
      }
      return [key, decoded];
    }),
  );
}

function decodePercent(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

function parseMilliseconds(text: string): number {
  if (!/^\d{1,7}$/.test(text)) throw new InvalidValueError(`${quote(text)} is not a number of milliseconds`);
  return Number(text);
}

function parseRatio(text: string): number {
  const ratio = Number(text);
  if (!(ratio >= 0 && ratio <= 1)) throw new InvalidValueError(`${quote(text)} is not a number from 0 to 1`);
  return ratio;
}
