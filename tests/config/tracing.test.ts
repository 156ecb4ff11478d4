/** OpenTelemetry's own variables, as far as they are followed. */
import { expect, test } from "vitest";
import { loadConfig } from "../../src/config/config.ts";

const endpoint = { OTEL_EXPORTER_OTLP_ENDPOINT: "http://collector:4318" };
const load = (environment: Record<string, string>) => loadConfig(environment, {}, "/srv");

test("nothing is traced without an endpoint, whatever else is set", () => {
  const config = load({ OTEL_SERVICE_NAME: "a", OTEL_TRACES_SAMPLER: "none of ours" });
  expect([config.tracing, config.notes]).toEqual([undefined, []]);
  expect(load({ OTEL_EXPORTER_OTLP_ENDPOINT: " " }).tracing).toBeUndefined();
});

test("an endpoint is enough", () => {
  expect(load(endpoint)).toMatchObject({
    tracing: {
      url: "http://collector:4318/v1/traces",
      headers: {},
      serviceName: "bmaas",
      resourceAttributes: {},
      sampler: "always_on",
      ratio: 1,
      sendDelayMs: 5000,
      isParentBased: true,
    },
    notes: [],
  });
});

test.each([
  ["https://collector/", "https://collector/v1/traces"],
  ["https://collector/otlp", "https://collector/otlp/v1/traces"],
  ["https://collector/otlp/?key=1", "https://collector/otlp/v1/traces?key=1"],
])("traces go below the endpoint %s", (text, url) => {
  expect(load({ OTEL_EXPORTER_OTLP_ENDPOINT: text }).tracing?.url).toBe(url);
});

test("headers and attributes are lists of pairs with percent-encoded values", () => {
  const config = load({
    ...endpoint,
    OTEL_EXPORTER_OTLP_HEADERS: "authorization=Bearer%20a%3Db, x-team = ops,",
    OTEL_RESOURCE_ATTRIBUTES: "service.name=fleet,deployment.environment.name=lab%2C2",
  });
  expect(config.tracing).toMatchObject({
    headers: { authorization: "Bearer a=b", "x-team": "ops" },
    serviceName: "fleet",
    resourceAttributes: { "deployment.environment.name": "lab,2" },
  });
  expect(
    load({ ...endpoint, OTEL_RESOURCE_ATTRIBUTES: "service.name=a", OTEL_SERVICE_NAME: "b" }).tracing,
  ).toMatchObject({ serviceName: "b" });
});

test.each([
  ["always_off", undefined, { sampler: "always_off", isParentBased: false }],
  ["traceidratio", "0.25", { sampler: "traceidratio", ratio: 0.25, isParentBased: false }],
  ["parentbased_traceidratio", "0", { sampler: "traceidratio", ratio: 0, isParentBased: true }],
])("takes the sampler %s with %s", (name, argument, expected) => {
  const environment = { ...endpoint, OTEL_TRACES_SAMPLER: name };
  const config = load(argument === undefined ? environment : { ...environment, OTEL_TRACES_SAMPLER_ARG: argument });
  expect(config).toMatchObject({ tracing: expected, notes: [] });
});

test.each([
  ["OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", '"grpc" is not one of http/protobuf'],
  ["OTEL_TRACES_SAMPLER", "jaeger_remote", '"jaeger_remote" is not one of always_on'],
  ["OTEL_TRACES_SAMPLER_ARG", "2", '"2" is not a number from 0 to 1'],
  ["OTEL_BSP_SCHEDULE_DELAY", "5s", '"5s" is not a number of milliseconds'],
  ["OTEL_RESOURCE_ATTRIBUTES", "a=1,b", "part 2 is not KEY=VALUE"],
])("%s counts as unset when it is not understood, and is noted", (variable, text, problem) => {
  const { tracing, notes } = load({ ...endpoint, [variable]: text });
  expect(tracing).toEqual(load(endpoint).tracing);
  expect(notes).toEqual([expect.stringContaining(`${variable}: ${problem}`)]);
});

test("a broken endpoint means no traces, and is noted; secrets are not repeated", () => {
  const { tracing, notes } = load({ OTEL_EXPORTER_OTLP_ENDPOINT: "collector:4318" });
  expect(tracing).toBeUndefined();
  expect(notes).toEqual([expect.stringContaining("OTEL_EXPORTER_OTLP_ENDPOINT: is not an http or https URL")]);
  const broken = load({ ...endpoint, OTEL_EXPORTER_OTLP_HEADERS: "authorization=%secret" });
  expect(broken.notes).toHaveLength(1);
  expect(broken.notes.join()).not.toContain("secret");
});

test("the SDK can be disabled", () => {
  expect(load({ ...endpoint, OTEL_SDK_DISABLED: "TRUE" }).tracing).toBeUndefined();
});
