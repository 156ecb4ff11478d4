/** What tracing costs those who do not trace: nothing of it is loaded. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { createTestDatabase } from "../support/database.ts";
import { makeFolder, sourceFile } from "../support/program.ts";
import { startServerProcess } from "../support/server-process.ts";

const database = await createTestDatabase();
afterAll(() => database.close());
const recorder = new URL("../support/record-loaded-modules.ts", import.meta.url).href;

/** Runs a server from its start to its end, and returns the URLs of all modules that it loaded. */
async function listLoadedModules(environment: Record<string, string>): Promise<string[]> {
  const file = join(await makeFolder(), "loaded");
  const server = await startServerProcess(
    {
      DATABASE_URL: database.url,
      NODE_OPTIONS: `--import=${recorder}`,
      LOADED_MODULES_FILE: file,
      ...environment,
      // A bundle does not tell which sources it consists of.
    },
    sourceFile,
  );
  expect((await fetch(`${server.adminUrl}/healthz`)).status).toBe(200);
  expect(await server.stop()).toBe(0);
  return (await readFile(file, "utf8")).split("\n");
}

const isTelemetry = (url: string) => url.includes("opentelemetry");

test("nothing of OpenTelemetry is loaded without an endpoint", async () => {
  const loaded = await listLoadedModules({ OTEL_SERVICE_NAME: "bmaas", OTEL_TRACES_SAMPLER: "always_on" });
  expect(loaded.some((url) => url.endsWith("/src/service/service.ts"))).toBe(true);
  expect(loaded.filter(isTelemetry)).toEqual([]);
});

test("nor with one, when the SDK is disabled", async () => {
  const environment = { OTEL_EXPORTER_OTLP_ENDPOINT: "http://127.0.0.1:1", OTEL_SDK_DISABLED: "true" };
  expect((await listLoadedModules(environment)).filter(isTelemetry)).toEqual([]);
});

test("it is loaded with an endpoint, and a receiver that is not there holds up neither start nor end", async () => {
  const loaded = await listLoadedModules({ OTEL_EXPORTER_OTLP_ENDPOINT: "http://127.0.0.1:1" });
  expect(loaded.some(isTelemetry)).toBe(true);
});
