/** Stores what agents without a machine send, and returns the outcome of their wish to be let in. */
import { eq, type SQL, sql } from "drizzle-orm";
import { isPlaceholderSerialNumber } from "../../contract/firmware-placeholders.ts";
import { normalizeSerialNumber } from "../../contract/identifiers.ts";
import type { Transaction } from "../client.ts";
import { ContentionError } from "../errors.ts";
import { agentHeartbeat, agentStarted, hardwareReport, machineEnrolment } from "../schema/index.ts";
import { admit, type ExpectedPolicy, findSameMachine, type Reenrolment } from "./enrolment-admission.ts";
import { holdApprovals } from "./enrolment-decision.ts";
import type { EnrolmentRow } from "./enrolment-list.ts";
import {
  findJoinTokenBySecret,
  findTokenRefusal,
  holdJoinToken,
  type JoinTokenRefusal,
  type JoinTokenRow,
  useJoinToken,
} from "./join-token.ts";

/** An agent's wish to be let in: what it says about itself and its machine. */
export type EnrolmentWish = Pick<
  EnrolmentRow,
  | "publicKey"
  | "source"
  | "address"
  | "signatureNonce"
  | "agentVersion"
  | "bootId"
  | "manufacturer"
  | "product"
  | "serialNumber"
  | "systemUuid"
  | "macAddresses"
  | "identifiers"
  | "memoryBytes"
  | "cpuThreads"
  | "diskBytes"
  | "report"
>;

/** A wish with the join token that was used for it. */
type NamedWish = EnrolmentWish & { readonly joinTokenId?: string };

/** What became of an agent's wish. */
export type EnrolmentOutcome =
  | { readonly kind: "waiting" | "rejected" }
  | { readonly kind: "accepted"; readonly machineId: string }
  /** The key belongs to another machine's agent. Nothing was stored. */
  | { readonly kind: "another_machine"; readonly machineId: string }
  /** The nonce is not greater than the last one of this key. Nothing was stored. */
  | { readonly kind: "replayed" }
  /** The join token was refused. Nothing was stored. */
  | { readonly kind: "token_refused"; readonly reason: JoinTokenRefusal };

/** Bounds of the rows without a machine. */
export interface EnrolmentBounds {
  /** For one address. */
  readonly maxPerSource: number;
  readonly maxInAll: number;
}

/** Options of `enrol`. */
export interface EnrolOptions {
  /** Secret of the join token that the agent has. */
  readonly joinToken?: string | undefined;
  /** What becomes of a known machine with another key. Default: it waits for an operator. */
  readonly reenrolment?: Reenrolment | undefined;
  /** What becomes of an agent without a join token whose machine is expected. Default: it waits for an operator. */
  readonly expected?: ExpectedPolicy | undefined;
  /** Default: `defaultEnrolmentBounds`. */
  readonly bounds?: EnrolmentBounds;
}

/**
 * Default bounds. A rack behind one address has fewer machines, and all rows together take less than 200 MB.
 *
 * @public
 */
export const defaultEnrolmentBounds: EnrolmentBounds = { maxPerSource: 1_000, maxInAll: 10_000 };

/** Key of the advisory lock of new enrolments; no other advisory lock of this program has this number. */
const newEnrolmentsLock = 4_716_022_923;

/**
 * Stores the wish in the row of its key and returns the outcome. A key that a machine's agent has needs no wish: its
 * outcome is that machine, unless the serial number shows another one. A known machine with another key is rejected
 * where the settings say so, and waits in the list of enrolments all the same. A join token counts once for each key;
 * `admit` decides whether it lets the agent in. Locks the row of the key, and for a
 * new key the lock of new enrolments, so that the bounds hold whatever comes at once. Throws ContentionError.
 */
export async function enrol(
  tx: Transaction,
  wish: EnrolmentWish,
  { joinToken: secret, reenrolment = "approve", expected = "wait", bounds = defaultEnrolmentBounds }: EnrolOptions = {},
): Promise<EnrolmentOutcome> {
  const token = secret === undefined ? undefined : await findJoinTokenBySecret(tx, secret);
  if (token?.requiresApproval === false || (secret === undefined && expected === "accept")) await holdApprovals(tx);
  const [stored] = await tx
    .select()
    .from(machineEnrolment)
    .where(eq(machineEnrolment.publicKey, wish.publicKey))
    .for("no key update");
  if (isReplay(wish, stored?.signatureNonce)) return { kind: "replayed" };
  const holder = await findHolder(tx, wish.publicKey);
  if (holder !== undefined) return await welcomeBack(tx, wish, holder, stored);
  if (stored?.state === "rejected") return await update(tx, wish, stored);
  if (reenrolment === "never" && (await findSameMachine(tx, wish)) !== undefined) {
    const refusal = secret === undefined ? undefined : await findRefusal(tx, token, stored);
    if (refusal !== undefined) return { kind: "token_refused", reason: refusal };
    await store(tx, wish, stored, bounds);
    return { kind: "rejected" };
  }
  const use = secret === undefined ? undefined : await spend(tx, token, stored);
  if (typeof use === "string") return { kind: "token_refused", reason: use };
  const named = token === undefined ? wish : { ...wish, joinTokenId: token.id };
  await store(tx, named, stored, bounds);
  const isPending = use !== undefined && !use.letsIn;
  const machineId = isPending ? undefined : await admit(tx, wish.publicKey, { token, reenrolment, expected });
  return machineId === undefined ? { kind: "waiting" } : { kind: "accepted", machineId };
}

async function store(
  tx: Transaction,
  wish: NamedWish,
  stored: EnrolmentRow | undefined,
  bounds: EnrolmentBounds,
): Promise<void> {
  if (stored === undefined) await insert(tx, wish, bounds);
  else await update(tx, wish, stored);
}

/**
 * Uses a join token, unless the key has used it before, and returns whether it lets agents in, or why it is refused.
 * The answer holds until the transaction ends. A token that has expired since its use leaves the agent waiting.
 */
async function spend(
  tx: Transaction,
  token: JoinTokenRow | undefined,
  stored: EnrolmentRow | undefined,
): Promise<JoinTokenRefusal | { readonly letsIn: boolean }> {
  if (token === undefined) return "token_wrong";
  if (stored?.joinTokenId !== token.id) return (await useJoinToken(tx, token.id)) ?? { letsIn: true };
  const { isRevoked, letsIn } = await holdJoinToken(tx, token.id);
  return isRevoked ? "token_revoked" : { letsIn };
}

/** Returns why the join token that `spend` would use is refused, without using it. */
async function findRefusal(
  tx: Transaction,
  token: JoinTokenRow | undefined,
  stored: EnrolmentRow | undefined,
): Promise<JoinTokenRefusal | undefined> {
  if (token === undefined) return "token_wrong";
  const refusal = await findTokenRefusal(tx, token.id);
  return stored?.joinTokenId === token.id && refusal !== "token_revoked" ? undefined : refusal;
}

function isReplay({ signatureNonce }: Pick<EnrolmentWish, "signatureNonce">, last: bigint | null | undefined): boolean {
  return signatureNonce !== null && last != null && signatureNonce <= last;
}

/** A machine whose agent has the key. */
interface Holder {
  readonly machineId: string;
  readonly serialNumber: string | null;
  readonly signatureNonce: bigint | null;
}

async function findHolder(tx: Transaction, publicKey: Uint8Array): Promise<Holder | undefined> {
  const { machineId } = agentStarted;
  const [holder] = await tx
    .select({
      machineId,
      serialNumber: hardwareReport.serialNumber,
      signatureNonce: agentHeartbeat.signatureNonce,
    })
    .from(agentStarted)
    .leftJoin(hardwareReport, eq(hardwareReport.machineId, machineId))
    .leftJoin(agentHeartbeat, eq(agentHeartbeat.machineId, machineId))
    .where(eq(agentStarted.publicKey, publicKey));
  return holder;
}

/**
 * Returns the outcome for a key that a machine's agent has. The serial numbers of the machine and of the wish differ
 * when the key was copied to another machine. An agent whose key an operator has registered without approving its
 * enrolment waits no longer.
 */
async function welcomeBack(
  tx: Transaction,
  wish: EnrolmentWish,
  { machineId, serialNumber, signatureNonce }: Holder,
  stored: EnrolmentRow | undefined,
): Promise<EnrolmentOutcome> {
  if (isReplay(wish, signatureNonce)) return { kind: "replayed" };
  const known = isPlaceholderSerialNumber(serialNumber ?? "") ? stored?.serialNumber : serialNumber;
  if (areDifferent(wish.serialNumber, known)) return { kind: "another_machine", machineId };
  if (stored?.state === "waiting") await tx.delete(machineEnrolment).where(eq(machineEnrolment.id, stored.id));
  else if (stored !== undefined) await touch(tx, wish, stored);
  return { kind: "accepted", machineId };
}

/** Returns whether two serial numbers are those of two machines. */
function areDifferent(a: string | null, b: string | null | undefined): boolean {
  return a !== null && b != null && normalizeSerialNumber(a) !== normalizeSerialNumber(b);
}

async function touch(tx: Transaction, { signatureNonce, source, address }: EnrolmentWish, { id }: EnrolmentRow) {
  await tx
    .update(machineEnrolment)
    .set({ lastSeenAt: sql`now()`, source, address, ...(signatureNonce !== null && { signatureNonce }) })
    .where(eq(machineEnrolment.id, id));
}

/**
 * Stores the wish in the row of its key. An agent that describes another machine, or whose key was taken from it, waits
 * anew under another id. A rejection is of the key, whatever it describes.
 */
async function update(tx: Transaction, wish: NamedWish, stored: EnrolmentRow): Promise<EnrolmentOutcome> {
  const isRejected = stored.state === "rejected";
  const isSame = stored.state !== "approved" && describesSame(wish, stored);
  const { publicKey: _, report, signatureNonce, ...said } = wish;
  await tx
    .update(machineEnrolment)
    .set({
      ...said,
      // Assigning the column to itself leaves the stored bytes where they are.
      report: sql`case when ${machineEnrolment.report} = ${report} then ${machineEnrolment.report} else ${report} end`,
      ...(signatureNonce !== null && { signatureNonce }),
      lastSeenAt: sql`now()`,
      ...(!isSame && { id: sql`gen_random_uuid()`, firstSeenAt: sql`now()` }),
      // The time of an approval stays: only an operator gives the key to a machine again.
      ...(!isRejected && { state: "waiting", machineId: null }),
    })
    .where(eq(machineEnrolment.id, stored.id));
  return { kind: isRejected ? "rejected" : "waiting" };
}

/** Returns whether both describe the same machine, by everything that operators recognise it by. */
function describesSame(a: EnrolmentWish, b: EnrolmentWish): boolean {
  return (
    a.identifiers.join("\n") === b.identifiers.join("\n") &&
    a.manufacturer === b.manufacturer &&
    a.product === b.product
  );
}

async function insert(tx: Transaction, wish: NamedWish, bounds: EnrolmentBounds): Promise<void> {
  await tx.execute(sql`select pg_advisory_xact_lock(${newEnrolmentsLock}::bigint)`);
  await makeRoom(tx, sql`source = ${wish.source}`, bounds.maxPerSource);
  await makeRoom(tx, sql`true`, bounds.maxInAll);
  const added = await tx
    .insert(machineEnrolment)
    .values(wish)
    .onConflictDoNothing({ target: machineEnrolment.publicKey })
    .returning({ id: machineEnrolment.id });
  if (added.length === 0) throw new ContentionError("the same key enrols at this moment");
}

/**
 * Deletes rows without a machine that match the condition, the least recently seen first, until one more fits. Skips
 * rows that an operator is deciding about.
 */
async function makeRoom(tx: Transaction, condition: SQL, max: number): Promise<void> {
  await tx.execute(sql`
    delete from machine_enrolment where id in (
      select id from machine_enrolment
       where machine_id is null and ${condition}
       order by last_seen_at
       limit greatest(0, (select count(*) from machine_enrolment where machine_id is null and ${condition}) - ${max} + 1)
         for update skip locked)`);
}
