/** Machines with one issue of each type, and how each issue ends. */
import { eq, sql } from "drizzle-orm";
import type { IdentifierKind } from "../../src/contract/identifiers.ts";
import type { IssueType } from "../../src/contract/issue-types.ts";
import type { Database } from "../../src/db/client.ts";
import { clearHolds, setHolds } from "../../src/db/queries/machine-hold.ts";
import {
  agentBoots,
  agentHeartbeat,
  duplicateAgent,
  healthAlert,
  machine,
  machineFinding,
  machineHold,
  machineIdentifier,
  osInstallationReport,
  osInstallationRequest,
  refusedKey,
  refusedReport,
  stateLimit,
} from "../../src/db/schema/index.ts";
import { transact } from "../../src/db/transact.ts";
import { situations } from "./situation.ts";

/** A machine with an issue. */
export interface IssueSituation {
  /** Text that the issue's detail contains. */
  readonly detail: string;
  /** How many minutes the issue has lasted. */
  readonly sinceMinutes: number;
  /** Creates a machine that has this issue and no other, and returns its id. */
  make(db: Database): Promise<string>;
  /** Removes the cause. */
  end(db: Database, machineId: string): Promise<unknown>;
}

const minutesAgo = (minutes: number) => sql`now() - make_interval(mins => ${minutes})`;

function make(db: Database, name: string): Promise<string> {
  const situation = situations.find((each) => each.name === name);
  if (situation === undefined) throw new Error(`there is no machine ${name}`);
  return situation.make(db);
}

async function heartbeat(db: Database, machineId: string): Promise<void> {
  const times = { heartbeatAt: minutesAgo(0), aliveSince: minutesAgo(0), quietUntil: minutesAgo(-4) };
  await db
    .insert(agentHeartbeat)
    .values({ machineId, ...times })
    .onConflictDoUpdate({ target: agentHeartbeat.machineId, set: times });
}

/** A machine that has an identifier together with another machine, of which nothing else is known. */
function shared(kind: IdentifierKind, value: string): IssueSituation {
  return {
    detail: "also of machine ",
    sinceMinutes: 4,
    make: async (db) => {
      const machineId = await make(db, "whose agent calls");
      const rows = [machineId, await make(db, "that a provider made available")].map((id, index) => ({
        ...{ machineId: id, kind, value: `${value}-${machineId}`, scope: "", shown: value, part: "", isShared: true },
        ...{ firstSeenAt: minutesAgo(90), since: minutesAgo(index === 0 ? 60 : 4) },
      }));
      await db.insert(machineIdentifier).values(rows);
      return machineId;
    },
    end: (db, machineId) =>
      db
        .update(machineIdentifier)
        .set({ goneAt: minutesAgo(0) })
        .where(eq(machineIdentifier.machineId, machineId)),
  };
}

/** A machine whose hardware report showed something; it ends by itself. */
function finding(type: IssueType, target: string): IssueSituation {
  return {
    detail: `what ${type} says`,
    sinceMinutes: 9,
    make: async (db) => {
      const machineId = await make(db, "whose agent calls");
      const times = { since: minutesAgo(9), until: minutesAgo(-60) };
      await db.insert(machineFinding).values({ machineId, type, target, detail: `what ${type} says`, ...times });
      return machineId;
    },
    end: (db, machineId) =>
      db
        .update(machineFinding)
        .set({ until: minutesAgo(0) })
        .where(eq(machineFinding.machineId, machineId)),
  };
}

/** Types of issues of the server, which have no machine. */
export type ServerIssueType = "receiver_failing";

/** One situation for each type of a machine's issues. */
export const issueSituations: Readonly<Record<Exclude<IssueType, ServerIssueType>, IssueSituation>> = {
  duplicate_agent: {
    detail: 'boot id "one" came back after "two"',
    sinceMinutes: 7,
    make: async (db) => {
      const machineId = await make(db, "whose agent calls");
      const times = { since: minutesAgo(7), seenAt: minutesAgo(1), until: minutesAgo(-50) };
      await db.insert(duplicateAgent).values({ machineId, sign: "boot_id", value: "one", otherValue: "two", ...times });
      return machineId;
    },
    end: (db, machineId) =>
      db
        .update(duplicateAgent)
        .set({ until: minutesAgo(1) })
        .where(eq(duplicateAgent.machineId, machineId)),
  },
  disk_failing: finding("disk_failing", "disk S1"),
  serial_number_changed: finding("serial_number_changed", ""),
  memory_reduced: finding("memory_reduced", ""),
  disk_missing: finding("disk_missing", ""),
  disk_worn: finding("disk_worn", "disk S1"),
  media_errors_growing: finding("media_errors_growing", "disk S1"),
  interface_missing: finding("interface_missing", ""),
  link_down: finding("link_down", "interface 52:54:00:00:00:01"),
  hardware_warning: finding("hardware_warning", ""),
  undecodable_request: {
    detail: "installation 1",
    sinceMinutes: 2,
    make: async (db) => {
      const machineId = await make(db, "that is to be installed");
      const times = { requestedAt: minutesAgo(3), undecodableAt: minutesAgo(2) };
      await db.update(osInstallationRequest).set(times).where(eq(osInstallationRequest.machineId, machineId));
      return machineId;
    },
    end: (db, machineId) =>
      db
        .update(osInstallationRequest)
        .set({ cancelledAt: minutesAgo(0), cancelledBy: "test" })
        .where(eq(osInstallationRequest.machineId, machineId)),
  },
  shared_serial_number: shared("serial_number", "SN-77"),
  shared_system_uuid: shared("system_uuid", "e5b4ee82-93c9-4c33-a1f5-2d4a4a2a4a77"),
  shared_mac: shared("mac", "52:54:00:12:34:77"),
  shared_disk: shared("disk_wwn", "0x5000c500a1b2c377"),
  key_refused: {
    detail: "from 192.0.2.7, last ",
    sinceMinutes: 12,
    make: async (db) => {
      const machineId = await make(db, "whose agent calls");
      const times = { since: minutesAgo(12), seenAt: minutesAgo(1), until: minutesAgo(-59) };
      await db.insert(refusedKey).values({ machineId, publicKey: Buffer.alloc(32, 7), address: "192.0.2.7", ...times });
      return machineId;
    },
    end: (db, machineId) =>
      db
        .update(refusedKey)
        .set({ until: minutesAgo(1) })
        .where(eq(refusedKey.machineId, machineId)),
  },
  agent_outdated: {
    detail: "version bmaas 0.1.0",
    sinceMinutes: 6,
    make: async (db) => {
      const machineId = await make(db, "whose agent calls");
      const said = { agentVersion: "bmaas 0.1.0", outdatedSince: minutesAgo(6) };
      await db.update(agentHeartbeat).set(said).where(eq(agentHeartbeat.machineId, machineId));
      return machineId;
    },
    end: (db, machineId) =>
      db.update(agentHeartbeat).set({ outdatedSince: null }).where(eq(agentHeartbeat.machineId, machineId)),
  },
  health: {
    detail: "4 errors (blocks installations)",
    sinceMinutes: 12,
    make: async (db) => {
      const machineId = await make(db, "whose agent calls");
      const alert = { machineId, source: "burn-in", alertId: "memtest", target: "dimm3", message: "4 errors" };
      const times = { since: minutesAgo(12), until: minutesAgo(-60) };
      await db
        .insert(healthAlert)
        .values({ ...alert, ...times, severity: "critical", blocksInstall: true, mutes: false });
      return machineId;
    },
    end: (db, machineId) =>
      db
        .update(healthAlert)
        .set({ until: minutesAgo(0) })
        .where(eq(healthAlert.machineId, machineId)),
  },
  installation_failed: {
    detail: "installation 1",
    sinceMinutes: 5,
    make: (db) => make(db, "that failed"),
    end: (db, machineId) =>
      db
        .update(osInstallationReport)
        .set({ result: "success", error: null })
        .where(eq(osInstallationReport.machineId, machineId)),
  },
  installation_overdue: {
    detail: "installation 1",
    sinceMinutes: 10,
    make: (db) => make(db, "whose agent did not say anything of the request in time"),
    end: (db, machineId) =>
      db
        .update(osInstallationRequest)
        .set({ dueAt: minutesAgo(-5) })
        .where(eq(osInstallationRequest.machineId, machineId)),
  },
  installation_pending_long: {
    detail: "installation 1",
    sinceMinutes: 20,
    make: (db) => make(db, "that is to be installed"),
    end: (db, machineId) =>
      db
        .update(osInstallationRequest)
        .set({ requestedAt: minutesAgo(14) })
        .where(eq(osInstallationRequest.machineId, machineId)),
  },
  report_refused: {
    detail: "installation 12",
    sinceMinutes: 3,
    make: async (db) => {
      const machineId = await make(db, "whose agent calls");
      const times = { refusedAt: minutesAgo(0), since: minutesAgo(3) };
      await db.insert(refusedReport).values({ machineId, generation: 12n, floor: 12n, ...times });
      return machineId;
    },
    end: heartbeat,
  },
  boot_loop: {
    detail: "booted 17 times between ",
    sinceMinutes: 50,
    make: async (db) => {
      const machineId = await make(db, "whose agent calls");
      const run = { historyId: 1n, runBeganAt: minutesAgo(50), runBoots: 17 };
      const loop = { loopSince: minutesAgo(50), loopBoots: 17 };
      await db
        .insert(agentBoots)
        .values({ machineId, ...run, lastAt: minutesAgo(5), secondLastAt: minutesAgo(8), ...loop });
      return machineId;
    },
    end: (db, machineId) =>
      db
        .update(agentBoots)
        .set({ lastAt: minutesAgo(31) })
        .where(eq(agentBoots.machineId, machineId)),
  },
  state_overdue: {
    detail: "no_agent since ",
    sinceMinutes: 10,
    make: async (db) => {
      await db
        .insert(stateLimit)
        .values({ state: "no_agent", seconds: 50 * 60 })
        .onConflictDoNothing();
      return await make(db, "that a provider made available");
    },
    end: (db, machineId) =>
      db
        .update(machine)
        .set({ createdAt: minutesAgo(40) })
        .where(eq(machine.id, machineId)),
  },
  agent_silent: {
    detail: "last heard ",
    sinceMinutes: 10,
    make: (db) => make(db, "whose agent is silent"),
    end: heartbeat,
  },
  hold_ending: {
    detail: "held by test until ",
    sinceMinutes: 15,
    make: async (db) => {
      const machineId = await make(db, "whose agent calls");
      const hold = { machineId, reason: "a fan", ticket: null, isMuted: false, end: undefined };
      await transact(db, (tx) => setHolds(tx, [hold], "test"));
      const times = { heldAt: minutesAgo(600), until: minutesAgo(-45) };
      await db.update(machineHold).set(times).where(eq(machineHold.machineId, machineId));
      return machineId;
    },
    end: (db, machineId) => transact(db, (tx) => clearHolds(tx, [{ machineId }], "test")),
  },
  never_heartbeated: {
    detail: "",
    sinceMinutes: 35,
    make: (db) => make(db, "whose agent has not called yet"),
    end: heartbeat,
  },
};
