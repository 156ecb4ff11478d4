/** Seeds databases from texts, and reads what was stored. */
import { generateKeyPairSync } from "node:crypto";
import { Readable } from "node:stream";
import { fromBinary } from "@bufbuild/protobuf";
import pg from "pg";
import { OSInstallationRequestSchema } from "../../gen/cloud/bmaas/server/api/agent_pb.js";
import { connectionConfig, type Database } from "../../src/db/client.ts";
import type * as schema from "../../src/db/schema/index.ts";
import type { FleetMachine } from "../../src/seed/fleet-schema.ts";
import { SeedFileError } from "../../src/seed/problem.ts";
import { readMachines } from "../../src/seed/read/read-machines.ts";
import { openSeedInput } from "../../src/seed/read/seed-input.ts";
import { seedFleet } from "../../src/seed/seed-fleet.ts";
import type { SeededMachine } from "../../src/seed/seeded-fleet.ts";
import { stageFleet } from "../../src/seed/stage-fleet.ts";
import type { TestDatabase } from "./database.ts";
import { type Observed, observe } from "./observer.ts";

/** Seeds a text with the actor "seed:test". */
export async function seedText(
  db: Database,
  text: string | Buffer,
  options: { dryRun?: boolean; supersedeGiven?: boolean } = {},
): Promise<Omit<SeededMachine, "line">[]> {
  const installations = { hardwareMaxAgeMs: 86_400_000, reinstallLimit: undefined };
  await using input = await openSeedInput("-", Readable.from([Buffer.from(text)]));
  await using fleet = await stageFleet(input);
  await using seeded = await seedFleet(db, fleet, {
    ...{ actor: "seed:test", dryRun: false, supersedeGiven: false, installations, ...options },
  });
  const machines: SeededMachine[] = [];
  for await (const machine of seeded.list()) machines.push(machine);
  return machines;
}

/** Reads the machines of a text without a database. */
export async function parseFleet(text: string | Buffer): Promise<FleetMachine[]> {
  const machines: FleetMachine[] = [];
  await using input = await openSeedInput("-", Readable.from([Buffer.from(text)]));
  await readMachines(input, { add: (machine) => void machines.push(machine), settle: async () => {} });
  return machines;
}

/**
 * Returns the mistakes of the SeedFileError that `work` throws, as `LINE:COLUMN FIELD: MESSAGE`, or none if it
 * succeeds.
 */
export async function mistakesOf(work: () => unknown): Promise<string[]> {
  try {
    await work();
    return [];
  } catch (error) {
    if (!(error instanceof SeedFileError)) throw error;
    return error.problems.map(({ line, column, field, message }) => `${line}:${column} ${field}: ${message}`);
  }
}

/** Returns a new public key in hexadecimal digits. The private key is discarded. */
export function newPublicKey(): string {
  const { x } = generateKeyPairSync("ed25519").publicKey.export({ format: "jwk" });
  return Buffer.from(x ?? "", "base64url").toString("hex");
}

/** Returns an `image` in YAML's flow style. `content` distinguishes images. */
export function imageYaml(content = "a"): string {
  return `{ url: https://images.example/${content}.img, digest: "sha256:${"ab".repeat(32)}", rootDevice: sda }`;
}

/** Removes every row that seeding may write, at less cost than that of another database. */
export async function emptyFleet({ db }: TestDatabase): Promise<void> {
  await db.execute("truncate machine, machine_history cascade");
}

/**
 * Reads every row that seeding may write. The order of all but the history does not depend on when they were written.
 */
export async function readFleet(database: Observed) {
  const sql = observe(database);
  const machines = await sql<(typeof schema.machine.$inferSelect)[]>`select * from machine order by id`;
  const provided = await sql<(typeof schema.provided.$inferSelect)[]>`select * from provided order by machine_id`;
  const agents = await sql<(typeof schema.agentStarted.$inferSelect)[]>`
    select * from agent_started order by machine_id`;
  const requests = await sql<(typeof schema.osInstallationRequest.$inferSelect)[]>`
    select * from os_installation_request order by machine_id, generation`;
  const history = await sql<(typeof schema.machineHistory.$inferSelect)[]>`select * from machine_history order by id`;
  return {
    machines: [...machines],
    provided: [...provided],
    agents: [...agents],
    requests: [...requests],
    history: [...history],
  };
}

/** Decodes a stored request. */
export function decodeRequest(row: { request: Uint8Array }) {
  return fromBinary(OSInstallationRequestSchema, row.request);
}

/** Runs `work` on its own connection. */
export async function withClient<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client(connectionConfig(url, "test"));
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}
