/**
 * Decides whether an agent that asks is let in without an operator.
 *
 * An agent is let in onto the one machine that is expected as it describes it, or as a new machine if nothing that is
 * known resembles it. A known machine gets another key only by `Reenrolment` "token". A key that was taken from its
 * machine is let in by nobody but an operator. The caller holds other approvals (`holdApprovals`), so that two agents
 * which describe one machine are judged one after the other.
 */
import { randomUUID } from "node:crypto";
import { eq, sql } from "drizzle-orm";
import { swapUuidBytes } from "../../contract/identifiers.ts";
import type { Transaction } from "../client.ts";
import { machineEnrolment, machineIdentifier } from "../schema/index.ts";
import { findPublicKeys, holdAgents } from "./agent-started.ts";
import { applyJoinToken, approveEnrolment, hasRoomForLabels } from "./enrolment-decision.ts";
import { type EnrolmentRow, findLookalikes } from "./enrolment-list.ts";
import { findExpectations, findExpectedMachine } from "./expectation.ts";
import { findGivenInstallation } from "./given-installation.ts";
import type { JoinTokenRow } from "./join-token.ts";
import { holdMachines } from "./machine.ts";

/**
 * What becomes of a known machine whose agent asks with another key, and that no operator decides about: it waits, a
 * join token replaces the key, or it is refused.
 */
export type Reenrolment = "approve" | "token" | "never";

/** What becomes of an agent without a join token whose machine is expected: it waits, or is let in. */
export type ExpectedPolicy = "wait" | "accept";

/** By what an agent may be let in without an operator. */
export interface Admission {
  /** A join token that lets agents in, and whose row is held; undefined without one. */
  readonly token: JoinTokenRow | undefined;
  readonly reenrolment: Reenrolment;
  readonly expected: ExpectedPolicy;
}

/** Actor of approvals that the settings decide, without a join token. */
const settingsActor = "settings:BMAAS_ENROL_EXPECTED";

/** What enrolments are compared by. */
type Described = Pick<EnrolmentRow, "identifiers">;

/**
 * Lets in the agent of the waiting enrolment with this key if its join token or the settings allow it, and returns its
 * machine.
 */
export async function admit(
  tx: Transaction,
  publicKey: Uint8Array,
  { token, reenrolment, expected }: Admission,
): Promise<string | undefined> {
  const letsIn = token === undefined ? expected === "accept" : !token.requiresApproval;
  if (!letsIn) return undefined;
  const [row] = await tx.select().from(machineEnrolment).where(eq(machineEnrolment.publicKey, publicKey));
  if (row === undefined || row.decidedAt !== null) return undefined;
  const expectations = (await findExpectations(tx, [row])).get(row.id) ?? [];
  const others = await findOtherMachines(tx, row);
  const expectedId = findExpectedMachine(expectations);
  if (expectedId !== undefined) {
    if (others.some((machineId) => machineId !== expectedId)) return undefined;
    if (!(await isStillExpected(tx, row, expectedId))) return undefined;
    if (token !== undefined && !(await hasRoomForLabels(tx, expectedId, token))) return undefined;
    return await letIn(tx, row, token, { machineId: expectedId, isNew: false });
  }
  if (token === undefined) return undefined;
  if (others.length > 0) {
    const [machineId] = reenrolment === "token" && others.length === 1 ? others : [];
    if (machineId === undefined || !(await mayReplaceKey(tx, machineId, row))) return undefined;
    await approveEnrolment(tx, { ...toApproval(row, machineId), replacesKey: true }, `join-token:${token.id}`);
    return machineId;
  }
  if (token.onlyExpected) return undefined;
  return await letIn(tx, row, token, { machineId: randomUUID(), isNew: true });
}

/**
 * Locks the machine, and returns whether it is the one that an enrolment is accepted onto even now: an operator may
 * just have changed what is expected of it, or have deleted it. The answer holds until the transaction ends.
 */
async function isStillExpected(tx: Transaction, row: EnrolmentRow, machineId: string): Promise<boolean> {
  if (!(await holdIfThere(tx, machineId))) return false;
  return findExpectedMachine((await findExpectations(tx, [row])).get(row.id) ?? []) === machineId;
}

/** Locks the machine, and returns whether it exists: an operator may just have deleted it. */
async function holdIfThere(tx: Transaction, machineId: string): Promise<boolean> {
  let isThere = true;
  await holdMachines(tx, [machineId], () => {
    isThere = false;
  });
  return isThere;
}

/** Approves the enrolment onto a machine without a key, and gives that what the token carries. */
async function letIn(
  tx: Transaction,
  row: EnrolmentRow,
  token: JoinTokenRow | undefined,
  { machineId, isNew }: { readonly machineId: string; readonly isNew: boolean },
): Promise<string> {
  const actor = token === undefined ? settingsActor : `join-token:${token.id}`;
  await approveEnrolment(tx, { ...toApproval(row, machineId), isNew }, actor);
  if (token !== undefined) await applyJoinToken(tx, { machineId, serialNumber: row.serialNumber, token }, actor);
  return machineId;
}

function toApproval({ id: enrolmentId }: EnrolmentRow, machineId: string) {
  const no = { isNew: false, replacesKey: false, allowsDuplicate: false, allowsInstallation: false };
  return { ...no, enrolmentId, machineId };
}

/**
 * Returns whether a join token may replace the key of the machine by that of the enrolment: the machine has an agent's
 * key, serial number, UUID and addresses are the same, and its agent has no unfinished installation. The answer holds
 * until the transaction ends: it locks the machine, and then the agent's row, so that no installation is given to the
 * old key any more.
 */
async function mayReplaceKey(tx: Transaction, machineId: string, row: Described): Promise<boolean> {
  if (!(await holdIfThere(tx, machineId))) return false;
  await holdAgents(tx, [machineId]);
  if (!(await isSameMachine(tx, machineId, row))) return false;
  return (await findGivenInstallation(tx, machineId)) === undefined;
}

/** Returns the machine with an agent's key that the enrolment describes in full, if no other machine resembles it. */
export async function findSameMachine(tx: Transaction, row: Described): Promise<string | undefined> {
  const [machineId, ...others] = await findOtherMachines(tx, row);
  if (machineId === undefined || others.length > 0) return undefined;
  return (await isSameMachine(tx, machineId, row)) ? machineId : undefined;
}

/** Returns the machines that have an identifier of the enrolment. */
async function findOtherMachines(tx: Transaction, { identifiers }: Described): Promise<string[]> {
  const id = randomUUID();
  const found = (await findLookalikes(tx, [{ id, machineId: null, identifiers }])).get(id) ?? [];
  return found.flatMap(({ machineId }) => machineId ?? []);
}

/**
 * Returns whether a machine has an agent's key and is described by exactly the same serial number, UUID and addresses,
 * none of which may be missing. What is known of the machine is its newest hardware report, or else the enrolment
 * through which its agent came.
 */
async function isSameMachine(tx: Transaction, machineId: string, { identifiers }: Described): Promise<boolean> {
  if (!(await findPublicKeys(tx, [machineId])).has(machineId)) return false;
  const { rows: reported } = await tx.execute<{ identifier: string }>(sql`
    select kind || ':' || value as identifier from ${machineIdentifier}
     where machine_id = ${machineId} and gone_at is null and kind in ('serial_number', 'system_uuid', 'mac')`);
  const { rows: enrolled } = await tx.execute<{ identifier: string }>(sql`
    select unnest(identifiers) as identifier from ${machineEnrolment} where machine_id = ${machineId}`);
  const known = new Set((reported.length > 0 ? reported : enrolled).map(({ identifier }) => toOneSpelling(identifier)));
  const claimed = new Set(identifiers.map(toOneSpelling));
  const kinds = new Set([...claimed].map((each) => each.slice(0, each.indexOf(":"))));
  return kinds.size === 3 && known.size === claimed.size && [...known].every((each) => claimed.has(each));
}

/** Returns an identifier in the one spelling by which both byte orders of a UUID are compared. */
function toOneSpelling(identifier: string): string {
  const [kind, value = ""] = identifier.split(":", 2);
  const swapped = swapUuidBytes(value);
  return kind === "system_uuid" && swapped < value ? `${kind}:${swapped}` : identifier;
}
