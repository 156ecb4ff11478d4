/** Makes deliveries of events, each event once for each receiver that chooses it. */
import type { Database, Transaction } from "../db/client.ts";
import { type IssueChange, listMachineChanges, type MachineChange } from "../db/queries/machine-change.ts";
import { findMachineOverviews, type MachineOverview } from "../db/queries/machine-overview.ts";
import { listReceiverChoices, type ReceiverChoice } from "../db/queries/receiver.ts";
import { insertDeliveries, type NewDelivery } from "../db/queries/receiver-delivery.ts";
import { hasUnreadEvents, lockDispatchPosition, moveDispatchPosition } from "../db/queries/receiver-dispatch.ts";
import { transact } from "../db/transact.ts";
import { type EventMessage, toMessageId, writeHistoryMessage, writeIssueMessage } from "./event-message.ts";
import { matchesEvent, toEventType } from "./event-type.ts";

/** Maximum numbers of events and of deliveries in one transaction, so that it takes moments. */
const maxEvents = 200;
const maxDeliveries = 2000;

/**
 * Reads the next events and makes their deliveries, in one transaction that also moves the position. So an event has
 * all its deliveries, or is read again. Resolves to whether more events may follow at once, or to undefined if another
 * process is the dispatcher.
 */
export async function fanOut(db: Database, holder: string): Promise<boolean | undefined> {
  // Without events to read, there is no transaction to commit.
  if (!(await hasUnreadEvents(db))) return false;
  return await transact(db, async (tx) => {
    const position = await lockDispatchPosition(tx, holder);
    if (position === undefined) return undefined;
    const receivers = await listReceiverChoices(tx);
    const limit = Math.min(maxEvents, Math.ceil(maxDeliveries / Math.max(1, receivers.length)));
    const changes = await listMachineChanges(tx, position, limit);
    const last = changes.at(-1);
    if (last === undefined) return false;
    const wanted = changes.filter((change) => receivers.some((receiver) => isFor(receiver, change)));
    const machines = await findMachines(tx, wanted.map(getMachineId));
    const deliveries = wanted.flatMap((change) => {
      const machine = machines.get(getMachineId(change));
      const message = "issue" in change ? writeIssueMessage(change, machine) : writeHistoryMessage(change, machine);
      return receivers.filter((receiver) => isFor(receiver, change)).map((receiver) => toDelivery(receiver, message));
    });
    await insertDeliveries(tx, deliveries);
    await moveDispatchPosition(tx, last.position);
    return changes.length === limit;
  });
}

/** Returns the id of the change's machine; empty for an issue of the server. */
function getMachineId(change: MachineChange | IssueChange): string {
  return "issue" in change ? (change.issue.machineId ?? "") : change.machineId;
}

async function findMachines(tx: Transaction, machineIds: readonly string[]): Promise<Map<string, MachineOverview>> {
  const named = [...new Set(machineIds)].filter((id) => id !== "");
  const machines = named.length === 0 ? [] : await findMachineOverviews(tx, named);
  return new Map(machines.map((overview) => [overview.machine.id, overview]));
}

function isFor({ events, fromSnapshot, createdAt }: ReceiverChoice, change: MachineChange | IssueChange): boolean {
  const { kind, position } = change;
  if (!matchesEvent(events, toEventType(kind)) || isVisible(position.transaction, fromSnapshot)) return false;
  if (!("issue" in change) || change.kind === "issue_closed") return true;
  // What began before the receiver was created is not told to it, though it was only seen afterwards.
  return change.issue.since >= createdAt || (change.unseenAt !== null && createdAt <= change.unseenAt);
}

/** Returns whether what the transaction wrote is visible in a snapshot, written as xmin:xmax:xip,… */
function isVisible(transaction: bigint, snapshot: string): boolean {
  const [xmin = "", xmax = "", underWay = ""] = snapshot.split(":");
  if (transaction < BigInt(xmin)) return true;
  return transaction < BigInt(xmax) && !underWay.split(",").includes(transaction.toString());
}

function toDelivery({ id: receiverId }: ReceiverChoice, message: EventMessage): NewDelivery {
  const { machineId, type: eventType, at: eventAt, payload } = message;
  return { id: toMessageId(receiverId, message), receiverId, machineId, eventType, eventAt, payload };
}
