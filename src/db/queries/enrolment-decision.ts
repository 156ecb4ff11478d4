/**
 * Decides about enrolments: operators approve, reject and forget them.
 *
 * Approvals run one after the other, so that the second of two agents with one serial number meets the first. Then the
 * enrolment's row is locked, so that the second of two decisions about it finds the first. The machine is locked last.
 */
import { and, eq, ne, sql } from "drizzle-orm";
import { formatInstant } from "../../base/time-text.ts";
import type { Transaction } from "../client.ts";
import { machineEnrolment } from "../schema/index.ts";
import { AgentRefusedError } from "./agent-key.ts";
import { type AgentKey, findPublicKeys, holdAgents, registerAgents } from "./agent-started.ts";
import { type EnrolmentRow, findEnrolments, findLookalikes } from "./enrolment-list.ts";
import { findGivenInstallation, InstallationGivenError } from "./given-installation.ts";
import { findJoinToken, type JoinTokenRow } from "./join-token.ts";
import { createMachines, holdMachines } from "./machine.ts";
import { appendHistory, type HistoryEntry } from "./machine-history.ts";
import { findExcess, findLabels, setLabels } from "./machine-label.ts";
import { findProvided, findProvidedAs, setProvided } from "./provided.ts";

/** The enrolment does not exist any more. */
export class EnrolmentGoneError extends Error {
  override readonly name = "EnrolmentGoneError";
  readonly enrolmentId: string;
  constructor(enrolmentId: string) {
    super(
      `enrolment ${enrolmentId} is gone: it was forgotten, newer ones replaced it, or its agent describes another machine now`,
    );
    this.enrolmentId = enrolmentId;
  }
}

/** The enrolment is approved already. */
export class EnrolmentDecidedError extends Error {
  override readonly name = "EnrolmentDecidedError";
  readonly enrolmentId: string;
  /** `wish` completes the sentence, such as "it cannot be rejected". */
  constructor(row: EnrolmentRow, wish: string) {
    super(`enrolment ${row.id} ${describeApproval(row)}: ${wish}`);
    this.enrolmentId = row.id;
  }
}

/** Another machine has an identifier that should be one machine's alone. */
export class EnrolmentDuplicateError extends Error {
  override readonly name = "EnrolmentDuplicateError";
  readonly enrolmentId: string;
  constructor(enrolmentId: string, target: string, holders: string) {
    super(
      `enrolment ${enrolmentId} cannot become ${target}: ${holders}; name that machine if it is this one, or look at both and allow a duplicate (--allow-duplicate)`,
    );
    this.enrolmentId = enrolmentId;
  }
}

/** Returns onto which machine an approved enrolment was approved, by whom and when. */
function describeApproval({
  machineId,
  decidedBy,
  decidedAt,
}: Pick<EnrolmentRow, "machineId" | "decidedBy" | "decidedAt">) {
  const when = decidedAt === null ? "" : ` at ${formatInstant(decidedAt)}`;
  return `was approved onto machine ${machineId} by ${decidedBy}${when}`;
}

/** How an enrolment is approved. */
export interface Approval {
  readonly enrolmentId: string;
  readonly machineId: string;
  /** Whether the machine is to be created. */
  readonly isNew: boolean;
  /** Whether a key that the machine has is replaced. */
  readonly replacesKey: boolean;
  /** Whether that key is replaced even though its agent was given an installation that is not finished. */
  readonly allowsInstallation: boolean;
  /** Whether other machines may have an identifier of this one. */
  readonly allowsDuplicate: boolean;
}

/** Key of the advisory lock of approvals; no other advisory lock of this program has this number. */
const approvalsLock = 4_716_022_925;

/** Makes other approvals wait until the transaction ends. Must come before the lock of an enrolment's row. */
export async function holdApprovals(tx: Transaction): Promise<void> {
  await tx.execute(sql`select pg_advisory_xact_lock(${approvalsLock}::bigint)`);
}

/**
 * Registers the key of an enrolment's agent for the machine, and returns false if it was approved onto this machine
 * before. Throws EnrolmentGoneError, EnrolmentDecidedError, EnrolmentDuplicateError, MachineNotFoundError,
 * AgentRefusedError, InstallationGivenError and PublicKeyInUseError.
 */
export async function approveEnrolment(tx: Transaction, approval: Approval, actor: string): Promise<boolean> {
  const { enrolmentId, machineId, isNew } = approval;
  await holdApprovals(tx);
  const row = await holdEnrolment(tx, enrolmentId);
  if (row.state === "approved") {
    if (row.machineId === machineId) return false;
    const wish = isNew ? "it cannot become another machine" : `it cannot become machine ${machineId}`;
    throw new EnrolmentDecidedError(row, wish);
  }
  if (!approval.allowsDuplicate) await assertUnlike(tx, row, approval);
  if (isNew) await createMachines(tx, [machineId], actor);
  else await holdMachines(tx, [machineId]);
  const { publicKey } = row;
  if (await hasOtherKey(tx, { machineId, publicKey }, approval)) await assertNothingGiven(tx, approval);
  await tx
    .delete(machineEnrolment)
    .where(and(eq(machineEnrolment.machineId, machineId), ne(machineEnrolment.id, enrolmentId)));
  await tx
    .update(machineEnrolment)
    .set({ state: "approved", machineId, decidedAt: sql`now()`, decidedBy: actor, report: null })
    .where(eq(machineEnrolment.id, enrolmentId));
  const hexKey = Buffer.from(publicKey).toString("hex");
  const { serialNumber, address } = row;
  await appendHistory(tx, [
    { machineId, actor, kind: "machine_enrolled", detail: { enrolmentId, publicKey: hexKey, serialNumber, address } },
    { machineId: enrolmentId, actor, kind: "enrolment_approved", detail: { machineId, publicKey: hexKey } },
  ]);
  await registerAgents(tx, [{ machineId, publicKey }], actor);
  return true;
}

/**
 * Gives a machine the labels of a join token, except those that it has, and its provider and location, unless it is
 * provided. The provider's id of the machine is its serial number, or its own id if it has none or another machine has
 * that.
 */
export async function applyJoinToken(
  tx: Transaction,
  { machineId, serialNumber, token }: { machineId: string; serialNumber: string | null; token: JoinTokenRow },
  actor: string,
): Promise<void> {
  const { labels } = await findNewLabels(tx, machineId, token);
  await setLabels(tx, [{ machineId, labels: Object.fromEntries(labels) }], actor);
  const { provider, location } = token;
  if (provider === null || (await findProvided(tx, [machineId])).length > 0) return;
  const named = serialNumber === null ? [] : await findProvidedAs(tx, [{ provider, providerId: serialNumber }]);
  const providerId = serialNumber === null || named.length > 0 ? machineId : serialNumber;
  await setProvided(tx, [{ machineId, provider, providerId, location }], actor);
}

/** Returns whether the machine can have the labels of a join token beside those that it has. */
export async function hasRoomForLabels(tx: Transaction, machineId: string, token: JoinTokenRow): Promise<boolean> {
  const { held, labels } = await findNewLabels(tx, machineId, token);
  return findExcess(machineId, held, labels) === undefined;
}

/** Returns the machine's labels, and those of a join token whose keys it does not have. */
async function findNewLabels(tx: Transaction, machineId: string, token: JoinTokenRow) {
  const held = (await findLabels(tx, [machineId])).get(machineId) ?? new Map<string, string>();
  return { held, labels: Object.entries(token.labels).filter(([key]) => !held.has(key)) };
}

/** Applies the join token that the agent of an approved enrolment has used, if there is one. */
export async function applyOwnJoinToken(tx: Transaction, enrolmentId: string, actor: string): Promise<void> {
  const [row] = await findEnrolments(tx, [enrolmentId]);
  const token = row?.joinTokenId && (await findJoinToken(tx, row.joinTokenId));
  if (!row?.machineId || !token) return;
  await applyJoinToken(tx, { machineId: row.machineId, serialNumber: row.serialNumber, token }, actor);
}

/** Rejects an enrolment that waits. Throws EnrolmentGoneError and EnrolmentDecidedError. */
export async function rejectEnrolment(tx: Transaction, enrolmentId: string, actor: string): Promise<void> {
  const row = await holdEnrolment(tx, enrolmentId);
  if (row.state === "rejected") return;
  if (row.state === "approved") {
    throw new EnrolmentDecidedError(row, "it cannot be rejected; revoke the agent's key instead");
  }
  await tx
    .update(machineEnrolment)
    .set({ state: "rejected", machineId: null, decidedAt: sql`now()`, decidedBy: actor })
    .where(eq(machineEnrolment.id, enrolmentId));
  await appendHistory(tx, [toEntry(row, actor, "enrolment_rejected")]);
}

/** Deletes an enrolment that is not approved. Throws EnrolmentGoneError and EnrolmentDecidedError. */
export async function forgetEnrolment(tx: Transaction, enrolmentId: string, actor: string): Promise<void> {
  const row = await holdEnrolment(tx, enrolmentId);
  if (row.state === "approved") {
    throw new EnrolmentDecidedError(row, "it cannot be forgotten; it goes with the machine");
  }
  await tx.delete(machineEnrolment).where(eq(machineEnrolment.id, enrolmentId));
  await appendHistory(tx, [toEntry(row, actor, "enrolment_forgotten")]);
}

function toEntry(
  { id: machineId, publicKey, serialNumber, address }: EnrolmentRow,
  actor: string,
  kind: HistoryEntry["kind"],
): HistoryEntry {
  const detail = { publicKey: Buffer.from(publicKey).toString("hex"), serialNumber, address };
  return { machineId, actor, kind, detail };
}

/**
 * Locks an enrolment and returns it. An approved one whose key its machine does not have any more is returned as one
 * that waits, which it becomes when its agent asks again. Throws EnrolmentGoneError.
 */
async function holdEnrolment(tx: Transaction, id: string): Promise<EnrolmentRow> {
  const [row] = await tx.select().from(machineEnrolment).where(eq(machineEnrolment.id, id)).for("update");
  if (row === undefined) throw new EnrolmentGoneError(id);
  if (row.machineId === null) return row;
  const key = (await findPublicKeys(tx, [row.machineId])).get(row.machineId);
  return key === Buffer.from(row.publicKey).toString("hex") ? row : { ...row, state: "waiting", machineId: null };
}

/** Throws EnrolmentDuplicateError if another machine than the approval's has an identifier of the enrolment. */
async function assertUnlike(tx: Transaction, row: EnrolmentRow, { machineId, isNew }: Approval): Promise<void> {
  const lookalikes = (await findLookalikes(tx, [row])).get(row.id) ?? [];
  const others = lookalikes.filter((each) => each.machineId !== null && each.machineId !== machineId);
  if (others.length === 0) return;
  const approved = await findEnrolments(
    tx,
    others.flatMap(({ enrolmentId }) => enrolmentId ?? []),
  );
  const holders = others.map(({ machineId: holderId, enrolmentId, kinds }) => {
    const names = kinds.map((kind) => kindNames[kind]).join(" and ");
    const approval = approved.find(({ id }) => id === enrolmentId);
    const how =
      approval === undefined ? "" : `, which ${describeApproval(approval).replace(` onto machine ${holderId}`, "")}`;
    return `its ${names} is that of machine ${holderId}${how}`;
  });
  const target = isNew ? "a new machine" : `machine ${machineId}`;
  throw new EnrolmentDuplicateError(row.id, target, holders.join("; "));
}

const kindNames = { serial_number: "serial number", system_uuid: "UUID", mac: "MAC address" } as const;

/**
 * Returns whether the machine, which the transaction holds, has another key. Throws AgentRefusedError if it has and the
 * key is not to be replaced.
 */
async function hasOtherKey(
  tx: Transaction,
  { machineId, publicKey }: AgentKey,
  { replacesKey }: Approval,
): Promise<boolean> {
  const key = (await findPublicKeys(tx, [machineId])).get(machineId);
  if (key === undefined || key === Buffer.from(publicKey).toString("hex")) return false;
  if (replacesKey) return true;
  throw new AgentRefusedError("AGENT_REGISTERED", machineId, `has another agent's key, ${key}: ask to replace it`);
}

/** Throws InstallationGivenError, unless allowed. The old key is given no installation from then on. */
async function assertNothingGiven(tx: Transaction, { machineId, allowsInstallation }: Approval): Promise<void> {
  await holdAgents(tx, [machineId]);
  const generation = allowsInstallation ? undefined : await findGivenInstallation(tx, machineId);
  if (generation !== undefined) throw new InstallationGivenError(machineId, generation);
}
