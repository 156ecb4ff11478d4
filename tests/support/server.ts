/** Starts real servers on free ports over a test's database. */
import { readFile, rm } from "node:fs/promises";
import { type Logger, pino } from "pino";
import { afterAll } from "vitest";
import { loadConfig } from "../../src/config/config.ts";
import { type Service, startService } from "../../src/service/service.ts";
import { createTestDatabase, type TestDatabase } from "./database.ts";
import { makeFolder } from "./program.ts";
import { unaryLane } from "./unary-lane.ts";

/** A line of the log, parsed; levels are pino's numbers. */
export type LogLine = Record<string, unknown>;

/** A running server. */
export interface TestServer extends AsyncDisposable {
  readonly agentUrl: string;
  readonly adminUrl: string;
  /** PEM of the CA that issued its certificate; empty without TLS. */
  readonly ca: string;
  readonly caFile: string;
  /** Everything logged so far, parsed, oldest first. */
  readonly logged: LogLine[];
  close(): Promise<void>;
}

/** Starts what most test files need: a server over a database of its own. Both are removed after the file's tests. */
export async function startServerWithDatabase(): Promise<{ database: TestDatabase; server: TestServer }> {
  const database = await createTestDatabase();
  afterAll(() => database.close());
  const server = await startTestServer(database.url);
  afterAll(() => server.close());
  return { database, server };
}

/** Starts a server. `environment` overrides the test's settings. */
export async function startTestServer(
  databaseUrl: string,
  environment: Record<string, string> = {},
): Promise<TestServer> {
  const home = await makeFolder();
  const logged: LogLine[] = [];
  const service = await startService(
    loadConfig({
      DATABASE_URL: databaseUrl,
      BMAAS_HOME: home,
      BMAAS_AGENT_LISTEN: "127.0.0.1:0",
      BMAAS_ADMIN_LISTEN: "127.0.0.1:0",
      BMAAS_SHUTDOWN_DELAY: "0",
      BMAAS_UNARY_LANE: unaryLane,
      ...environment,
    }),
    createCollectingLog(logged),
  );
  return { ...(await describe(service)), logged, ...closeOnce(service, home) };
}

async function describe({ agentUrl, adminUrl, caFile = "" }: Service) {
  return { agentUrl, adminUrl, caFile, ca: caFile === "" ? "" : await readFile(caFile, "utf8") };
}

function closeOnce(service: Service, home: string) {
  let closed: Promise<void> | undefined;
  const close = () => {
    closed ??= service.close().then(() => rm(home, { recursive: true, force: true }));
    return closed;
  };
  return { close, [Symbol.asyncDispose]: close };
}

/** Creates a log at level debug that appends parsed lines to `logged`. */
export function createCollectingLog(logged: LogLine[]): Logger {
  return pino({ level: "debug", base: null }, { write: (line: string) => logged.push(JSON.parse(line)) });
}
