/**
 * Nothing that was acknowledged is lost when the server or its database is killed, and the survivors recover by
 * themselves.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { connectDatabase, type DatabaseConnection } from "../../src/db/client.ts";
import { findFamily } from "../support/embedded-owner.ts";
import { connectMachine } from "../support/fleet.ts";
import { machineWithAgent, readTags, type TestMachine } from "../support/machine.ts";
import { type ServerProcess, startServerProcess } from "../support/server-process.ts";
import { findSteadyAddress } from "../support/steady-port.ts";
import { waitUntil } from "../support/wait.ts";

let server: ServerProcess;
let connection: DatabaseConnection;
let databaseUrl: string;

beforeAll(async () => {
  server = await startServerProcess({ BMAAS_AGENT_LISTEN: await findSteadyAddress() });
  await connect();
});

/** Connects to the server's own database, which may be on another port after each start. */
async function connect(): Promise<void> {
  await connection?.close();
  databaseUrl = (await readFile(join(server.home, "database.url"), "utf8")).trim();
  connection = connectDatabase(databaseUrl);
}

afterAll(async () => {
  await connection?.close();
  await server?.[Symbol.asyncDispose]();
});

/**
 * An agent that reports one generation after the other, each until it is acknowledged, with a hardware report that
 * counts along.
 */
class DiligentAgent {
  acknowledged = 0n;
  failures = 0;
  readonly #machine: TestMachine;
  readonly #stopping = new AbortController();
  readonly #running: Promise<void>;

  constructor(machine: TestMachine) {
    this.#machine = machine;
    this.#running = this.#run();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { machineId, key } = this.#machine;
    while (!this.#stopping.signal.aborted) {
      using agent = connectMachine(machineId, key, [server]);
      try {
        for (; !this.#stopping.signal.aborted; this.acknowledged++) {
          const generation = this.acknowledged + 1n;
          await agent.beat(0, {
            hardwareReport: { report: { serialNumber: String(generation) } },
            installationReport: { generation, result: { case: "success", value: {} } },
          });
        }
      } catch {
        this.failures++;
        await delay(50);
      }
    }
  }
}

/** Waits until every agent has been acknowledged `count` times more. */
async function expectProgress(agents: readonly DiligentAgent[], count = 5n): Promise<void> {
  const goals = agents.map(({ acknowledged }) => acknowledged + count);
  await waitUntil(
    "every agent gets on",
    () => agents.every(({ acknowledged }, index) => acknowledged >= (goals[index] ?? 0n)),
    20_000,
  );
}

test("acknowledged reports survive kill -9 of PostgreSQL and of the server", async () => {
  const machines = await Promise.all(Array.from({ length: 3 }, () => machineWithAgent(connection.db)));
  await query(
    `insert into os_installation_request (machine_id, generation, requested_by, request, first_given_at, superseded_at)
     select machine_id, generation, 'test', '', now(), now()
       from unnest($1::uuid[]) as machine_id, generate_series(1, 20000) as generation`,
    [machines.map(({ machineId }) => machineId)],
  );
  const agents = machines.map((machine) => new DiligentAgent(machine));
  await expectProgress(agents);

  const failuresBefore = sumFailures(agents);
  process.kill((await findFamily(server.pid)).postgres, "SIGKILL");
  await waitUntil("the agents notice", () => sumFailures(agents) > failuresBefore);
  await expectProgress(agents);

  await killAndRestart();
  await expectProgress(agents);

  await Promise.all(agents.map((agent) => agent.stop()));
  for (const [index, { machineId }] of machines.entries()) {
    const { acknowledged } = agents[index] as DiligentAgent;
    const { hardware, report, history } = await readTags({ url: databaseUrl }, machineId);
    const reported = history
      .filter(({ kind }) => kind === "installation_reported")
      .map(({ detail }) => detail.generation);
    // The last one may have been written without the agent having heard of it.
    expect([acknowledged, acknowledged + 1n]).toContain(report?.generation);
    expect(Buffer.from(hardware?.report ?? []).includes(String(report?.generation))).toBe(true);
    expect(reported).toEqual(Array.from({ length: Number(report?.generation) }, (_, at) => String(at + 1)));
  }
});

/** Ends the server by SIGKILL and starts another one in its place. */
async function killAndRestart(): Promise<void> {
  const { home, ended, agentUrl } = server;
  server.kill("SIGKILL");
  expect(await ended).toBe("SIGKILL");
  server = await startServerProcess({ BMAAS_HOME: home, BMAAS_AGENT_LISTEN: new URL(agentUrl).host });
  await connect();
}

function sumFailures(agents: readonly DiligentAgent[]): number {
  return agents.reduce((sum, { failures }) => sum + failures, 0);
}

/** Runs one statement on a connection of its own. */
async function query(text: string, values: unknown[] = []): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  const { rows } = await client.query(text, values);
  await client.end();
  return rows;
}

test("the embedded PostgreSQL writes commits to the disk before it acknowledges them", async () => {
  const rows = await query(
    `select current_setting('fsync') as fsync, current_setting('synchronous_commit') as commits,
            current_setting('full_page_writes') as pages`,
  );
  expect(rows).toEqual([{ fsync: "on", commits: "on", pages: "on" }]);
});
