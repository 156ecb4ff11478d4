/** Makes deliveries of events, each event once for each receiver that chooses it. */
import type { Database, Transaction } from "../db/client.ts";
import { listMachineChanges, type MachineChange } from "../db/queries/machine-change.ts";
import { findMachineOverviews, type MachineOverview } from "../db/queries/machine-overview.ts";
import { listReceiverChoices, type ReceiverChoice } from "../db/queries/receiver.ts";
import { insertDeliveries, type NewDelivery } from "../db/queries/receiver-delivery.ts";
import { hasUnreadEvents, lockDispatchPosition, moveDispatchPosition } from "../db/queries/receiver-dispatch.ts";
import { forgetIssues, takeIssueChanges } from "../db/queries/receiver-issue.ts";
import { transact } from "../db/transact.ts";
import { type EventMessage, toMessageId, writeHistoryMessage, writeIssueMessage } from "./event-message.ts";
import { issueClosed, issueOpened, matchesEvent, toEventType } from "./event-type.ts";

/** Maximum number of events that are read in one transaction. */
const maxEvents = 200;

/**
 * Reads the next events of the history and makes their deliveries, in one transaction that also moves the position. So
 * an event has all its deliveries, or is read again. Resolves to whether more events may follow at once, or to
 * undefined if another process is the dispatcher.
 */
export async function fanOut(db: Database, holder: string): Promise<boolean | undefined> {
  // Without events to read, there is no transaction to commit.
  if (!(await hasUnreadEvents(db))) return false;
  return await transact(db, async (tx) => {
    const position = await lockDispatchPosition(tx, holder);
    if (position === undefined) return undefined;
    const changes = await listMachineChanges(tx, position, maxEvents);
    const last = changes.at(-1);
    if (last === undefined) return false;
    const receivers = await listReceiverChoices(tx);
    const wanted = changes.filter((change) => receivers.some((receiver) => isFor(receiver, change)));
    const machines = await findMachines(
      tx,
      wanted.map(({ machineId }) => machineId),
    );
    const deliveries = wanted.flatMap((change) => {
      const message = writeHistoryMessage(change, machines.get(change.machineId));
      return receivers.filter((receiver) => isFor(receiver, change)).map((receiver) => toDelivery(receiver, message));
    });
    await insertDeliveries(tx, deliveries);
    await moveDispatchPosition(tx, last.position);
    return changes.length === maxEvents;
  });
}

/** Maximum number of issues that are told in one transaction. */
const maxIssues = 1000;

/**
 * Makes deliveries of the issues that began or ended since the last comparison, in one transaction. Issues that began
 * before a receiver was created are not told to it. Resolves like `fanOut`.
 */
export async function fanOutIssues(db: Database, holder: string): Promise<boolean | undefined> {
  return await transact(db, async (tx) => {
    if ((await lockDispatchPosition(tx, holder)) === undefined) return undefined;
    const receivers = (await listReceiverChoices(tx)).filter(
      ({ events }) => matchesEvent(events, issueOpened) || matchesEvent(events, issueClosed),
    );
    if (receivers.length === 0) {
      await forgetIssues(tx);
      return false;
    }
    const { changes, at, comparedAt } = await takeIssueChanges(tx, maxIssues);
    const machines = await findMachines(
      tx,
      changes.flatMap(({ machineId }) => machineId ?? []),
    );
    const deliveries = changes.flatMap((change) => {
      const message = writeIssueMessage(change, machines.get(change.machineId ?? ""), at);
      return receivers
        .filter(({ events, createdAt }) => {
          const isNew = change.since >= createdAt || (comparedAt !== null && createdAt <= comparedAt);
          return matchesEvent(events, message.type) && (isNew || !change.hasBegun);
        })
        .map((receiver) => toDelivery(receiver, message));
    });
    await insertDeliveries(tx, deliveries);
    return changes.length === maxIssues;
  });
}

async function findMachines(tx: Transaction, machineIds: readonly string[]): Promise<Map<string, MachineOverview>> {
  const named = [...new Set(machineIds)];
  const machines = named.length === 0 ? [] : await findMachineOverviews(tx, named);
  return new Map(machines.map((overview) => [overview.machine.id, overview]));
}

function isFor({ events, fromSnapshot }: ReceiverChoice, { kind, position }: MachineChange): boolean {
  return matchesEvent(events, toEventType(kind)) && !isVisible(position.transaction, fromSnapshot);
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
