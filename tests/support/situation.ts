/** Situations of machines, each with the state that every view of the fleet must show for it. */
import { randomUUID } from "node:crypto";
import { eq, type SQL, sql } from "drizzle-orm";
import type { Database } from "../../src/db/client.ts";
import { replaceAgent, revokeAgent } from "../../src/db/queries/agent-key.ts";
import type { MachineStateName } from "../../src/db/queries/machine-filter.ts";
import { removeProvided, setProvided } from "../../src/db/queries/provided.ts";
import { agentHeartbeat, agentStarted, machine, osInstallationRequest, provided } from "../../src/db/schema/index.ts";
import { transact } from "../../src/db/transact.ts";
import { type MovableState, moveInstallation } from "./installation.ts";
import { bareMachine, machineWithAgent, requestInstallation } from "./machine.ts";
import { newPublicKey } from "./seed.ts";

/** One situation. */
export interface Situation {
  readonly name: string;
  readonly state: MachineStateName;
  /** How many minutes the machine has been in the state. */
  readonly sinceMinutes: number;
  /** Creates a machine in this situation and returns its id. */
  make(db: Database): Promise<string>;
}

const minutesAgo = (minutes: number): SQL => sql`now() - make_interval(mins => ${minutes})`;
const newKey = () => Buffer.from(newPublicKey(), "hex");

/** Situations for every state. SQL sets their times to the past. */
export const situations: readonly Situation[] = [
  {
    name: "of which nothing is known",
    state: "not_provided",
    sinceMinutes: 90,
    make: (db) => old(db, bareMachine(db)),
  },
  {
    name: "that its provider took back",
    state: "not_provided",
    sinceMinutes: 0,
    make: async (db) => {
      const machineId = await providedMachine(db);
      await transact(db, (tx) => removeProvided(tx, [machineId], "test"));
      return machineId;
    },
  },
  { name: "that a provider made available", state: "no_agent", sinceMinutes: 60, make: providedMachine },
  {
    name: "whose agent's key was revoked",
    state: "no_agent",
    sinceMinutes: 0,
    make: async (db) => {
      const machineId = await providedMachine(db);
      await heartbeatingMachine(db, machineId);
      await transact(db, (tx) => revokeAgent(tx, { machineId, expectedPublicKey: Buffer.of() }, "test"));
      return machineId;
    },
  },
  {
    name: "whose agent has not called yet",
    state: "never_heartbeated",
    sinceMinutes: 50,
    make: (db) => machineWithOldAgent(db),
  },
  {
    name: "whose agent's key was replaced",
    state: "never_heartbeated",
    sinceMinutes: 0,
    make: async (db) => {
      const machineId = await heartbeatingMachine(db);
      const agent = { machineId, publicKey: newKey(), expectedPublicKey: Buffer.of() };
      await transact(db, (tx) => replaceAgent(tx, agent, "test"));
      return machineId;
    },
  },
  { name: "whose agent calls", state: "heartbeating", sinceMinutes: 40, make: (db) => heartbeatingMachine(db) },
  {
    name: "whose only installation was cancelled",
    state: "heartbeating",
    sinceMinutes: 40,
    make: (db) => installationOf(db, heartbeatingMachine(db), "cancelled"),
  },
  { name: "whose agent is silent", state: "stale", sinceMinutes: 10, make: silentMachine },
  {
    name: "that is to be installed",
    state: "installation_pending",
    sinceMinutes: 35,
    make: (db) => installationOf(db, heartbeatingMachine(db)),
  },
  {
    name: "that is to be installed while its agent is silent",
    state: "installation_pending",
    sinceMinutes: 35,
    make: (db) => installationOf(db, silentMachine(db)),
  },
  {
    name: "that is to be installed and has no agent",
    state: "installation_pending",
    sinceMinutes: 35,
    make: (db) => installationOf(db, bareMachine(db)),
  },
  {
    name: "that is to be installed once more after it failed",
    state: "installation_pending",
    sinceMinutes: 35,
    make: (db) => installationOf(db, installationOf(db, heartbeatingMachine(db), "failed")),
  },
  {
    name: "whose agent has the request",
    state: "installation_given",
    sinceMinutes: 30,
    make: (db) => installationOf(db, heartbeatingMachine(db), "given"),
  },
  {
    name: "whose agent has the request and lost its key",
    state: "installation_given",
    sinceMinutes: 30,
    make: async (db) => {
      const machineId = await installationOf(db, heartbeatingMachine(db), "given");
      await transact(db, (tx) => revokeAgent(tx, { machineId, expectedPublicKey: Buffer.of() }, "test"));
      return machineId;
    },
  },
  {
    name: "whose agent installs",
    state: "installing",
    sinceMinutes: 25,
    make: (db) => installationOf(db, heartbeatingMachine(db), "installing"),
  },
  {
    name: "whose agent did not say anything of the request in time",
    state: "installation_overdue",
    sinceMinutes: 10,
    make: (db) => installationOf(db, silentMachine(db), "overdue"),
  },
  {
    name: "whose agent began to install and did not go on in time",
    state: "installation_overdue",
    sinceMinutes: 10,
    make: async (db) => {
      const machineId = await installationOf(db, silentMachine(db), "installing");
      const { machineId: column } = osInstallationRequest;
      await db
        .update(osInstallationRequest)
        .set({ dueAt: minutesAgo(10) })
        .where(eq(column, machineId));
      return machineId;
    },
  },
  {
    name: "that failed",
    state: "installation_failed",
    sinceMinutes: 5,
    make: (db) => installationOf(db, heartbeatingMachine(db), "failed"),
  },
  {
    name: "that failed, and whose next request was cancelled",
    state: "installation_failed",
    sinceMinutes: 5,
    make: (db) => installationOf(db, installationOf(db, heartbeatingMachine(db), "failed"), "cancelled"),
  },
  {
    name: "that is installed",
    state: "installed",
    sinceMinutes: 5,
    make: (db) => installationOf(db, heartbeatingMachine(db), "succeeded"),
  },
  {
    name: "that is installed, and whose agent went away with the old system",
    state: "installed",
    sinceMinutes: 5,
    make: (db) => installationOf(db, silentMachine(db), "succeeded"),
  },
  {
    name: "that is installed after it failed",
    state: "installed",
    sinceMinutes: 5,
    make: (db) => installationOf(db, installationOf(db, heartbeatingMachine(db), "failed"), "succeeded"),
  },
];

async function old(db: Database, made: Promise<string>): Promise<string> {
  const machineId = await made;
  await db
    .update(machine)
    .set({ createdAt: minutesAgo(90) })
    .where(eq(machine.id, machineId));
  return machineId;
}

async function providedMachine(db: Database): Promise<string> {
  const machineId = await old(db, bareMachine(db));
  const said = { machineId, provider: "lab", providerId: randomUUID(), location: "basement" };
  await transact(db, (tx) => setProvided(tx, [said], "test"));
  await db
    .update(provided)
    .set({ providedAt: minutesAgo(60) })
    .where(eq(provided.machineId, machineId));
  return machineId;
}

async function machineWithOldAgent(db: Database): Promise<string> {
  const { machineId } = await machineWithAgent(db);
  await old(db, Promise.resolve(machineId));
  await db
    .update(agentStarted)
    .set({ startedAt: minutesAgo(50) })
    .where(eq(agentStarted.machineId, machineId));
  return machineId;
}

/** Creates a machine whose agent called a minute ago and may be silent for four more minutes. */
async function heartbeatingMachine(db: Database, existing?: string): Promise<string> {
  const machineId = existing ?? (await machineWithOldAgent(db));
  if (existing !== undefined) {
    await db.insert(agentStarted).values({ machineId, publicKey: newKey(), startedAt: minutesAgo(50) });
  }
  const times = { heartbeatAt: minutesAgo(1), aliveSince: minutesAgo(40), quietUntil: minutesAgo(-4) };
  await db.insert(agentHeartbeat).values({ machineId, ...times });
  return machineId;
}

async function silentMachine(db: Database): Promise<string> {
  const machineId = await heartbeatingMachine(db);
  const times = { heartbeatAt: minutesAgo(12), quietUntil: minutesAgo(10) };
  await db.update(agentHeartbeat).set(times).where(eq(agentHeartbeat.machineId, machineId));
  return machineId;
}

/** Requests an installation, dated 35 minutes ago, and moves it to `state`. */
async function installationOf(db: Database, made: Promise<string>, state?: MovableState): Promise<string> {
  const machineId = await made;
  const generation = await requestInstallation(db, machineId);
  const { machineId: column } = osInstallationRequest;
  await db
    .update(osInstallationRequest)
    .set({ requestedAt: minutesAgo(35) })
    .where(eq(column, machineId));
  if (state !== undefined) await moveInstallation(db, machineId, generation, state);
  return machineId;
}
