/** Waits until installations have ended, across lost connections. */
import { setTimeout as delay } from "node:timers/promises";
import { create } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { type Installation, InstallationState } from "../../../gen/bmaas/admin/v1/installation_pb.js";
import { InstallationService } from "../../../gen/bmaas/admin/v1/installation_service_pb.js";
import { MachineFilterSchema, type WatchMachinesResponse } from "../../../gen/bmaas/admin/v1/machine_service_pb.js";
import type { Operator } from "./admin-client.ts";
import { followMachines } from "./follow-machines.ts";
import { isPassing } from "./repeat-safely.ts";

/** Listener to the progress of a wait. */
export interface WaitListener {
  /** Called with an installation's current data, at least once for each and whenever it may have changed. */
  update(installation: Installation): void;
  /** Called with text for people about the connection. */
  note(text: string): void;
  /** Called when the connection is lost, and when it is back. */
  connection?(isLost: boolean): void;
}

/** Installations by machine, with their data at the end of the wait; undefined for a deleted machine. */
export type Waited = ReadonlyMap<string, Installation | undefined>;

/** Interval at which installations are read while the watch is interrupted, in milliseconds. */
const pollMs = 2000;
/** Maximum number of machines in a filter. */
const maxWatched = 1000;

/**
 * Waits until all of `installations`, each of a different machine, have ended or are overdue, or until the signal
 * aborts. Learns changes from a watch and, while that is interrupted, reads each installation every 2 s. Returns the
 * latest data of each by machine. Throws ConnectError if the server refuses to answer.
 */
export async function waitForInstallations(
  operator: Operator,
  installations: readonly Installation[],
  listener: WaitListener,
  signal: AbortSignal,
): Promise<Waited> {
  const latest = new Map<string, Installation | undefined>();
  const open = new Map(installations.map((installation) => [installation.machineId, installation.generation]));
  const done = new AbortController();
  const ends = AbortSignal.any([signal, done.signal]);

  const learn = (machineId: string, installation: Installation | undefined) => {
    if (!open.has(machineId)) return;
    latest.set(machineId, installation);
    if (installation !== undefined) listener.update(installation);
    if (installation === undefined || hasEnded(installation)) open.delete(machineId);
    if (open.size === 0) done.abort();
  };
  for (const installation of installations) learn(installation.machineId, installation);

  const refresh = async (machineIds: Iterable<string>) => {
    for (const machineId of machineIds) {
      const generation = open.get(machineId);
      if (generation === undefined || ends.aborted) continue;
      learn(machineId, await findInstallation(operator, machineId, generation, ends));
    }
  };
  const hear = async ({ machineId, machine }: WatchMachinesResponse) => {
    const newest = machine?.installation;
    const isComplete = newest?.generation === open.get(machineId) && newest?.state !== InstallationState.PENDING;
    // The installation of a machine does not tell what withholds it.
    if (newest !== undefined && isComplete) learn(machineId, newest);
    else await refresh([machineId]);
  };
  await Promise.all(
    chunk([...open.keys()], maxWatched).map((machineIds) =>
      follow(operator, machineIds, { refresh, hear, listener, ends }),
    ),
  ).catch((error: unknown) => {
    done.abort();
    throw error;
  });
  return latest;
}

/**
 * Returns whether the wait for an installation is over. It is over for an overdue one, too, whose agent may never call
 * again.
 */
function hasEnded({ state }: Installation): boolean {
  return ![InstallationState.PENDING, InstallationState.GIVEN, InstallationState.INSTALLING].includes(state);
}

interface Following {
  refresh(machineIds: Iterable<string>): Promise<void>;
  hear(message: WatchMachinesResponse): Promise<void>;
  readonly listener: WaitListener;
  readonly ends: AbortSignal;
}

/** Follows the machines. Resolves when `ends` aborts. */
async function follow(
  operator: Operator,
  machineIds: readonly string[],
  { refresh, hear, listener, ends }: Following,
): Promise<void> {
  let isWatching = false;
  let isLost = false;
  const onConnection = (trouble: ConnectError | undefined) => {
    isWatching = false;
    isLost = trouble !== undefined;
    listener.connection?.(isLost);
    listener.note(isLost ? "the server is unreachable; waiting for it" : "the server answers again");
  };
  const watch = async () => {
    const filter = create(MachineFilterSchema, { machineIds: [...machineIds] });
    for await (const message of followMachines(operator, { filter, resumeToken: "", signal: ends, onConnection })) {
      try {
        // The watch has no messages about changes from before it began.
        if (!isWatching) await refresh(machineIds);
        if (message.kind !== "") await hear(message);
        isWatching = true;
      } catch (error) {
        isWatching = false;
        ignorePassing(error);
      }
    }
  };
  const poll = async () => {
    while (!ends.aborted) {
      if (!isWatching) await refresh(machineIds).catch(ignorePassing);
      await delay(pollMs, undefined, { signal: ends }).catch(() => {});
    }
  };
  const watchAsLongAsPossible = async () => {
    for (let isOver = false; !isOver && !ends.aborted; ) {
      try {
        await watch();
        isOver = true;
      } catch (error) {
        isOver = !isOutOfRange(error);
        if (isOver) ignoreUnknownWatch(error);
        else if (isLost) onConnection(undefined);
      } finally {
        isWatching = false;
      }
    }
  };
  await Promise.all([watchAsLongAsPossible(), poll()]).catch((error: unknown) => {
    if (!ends.aborted) throw error;
  });
}

/**
 * Ignores the error of a server that does not support watching or accepts no more watchers, since the installations can
 * be read instead.
 */
function ignoreUnknownWatch(error: unknown): void {
  if (error instanceof ConnectError && (error.code === Code.Unimplemented || isPassing(error))) return;
  throw error;
}

/**
 * Returns whether the server cannot tell what happened since the last message, for example after a failover of its
 * database. A watch from now on is good enough, since every watch begins with reading all installations.
 */
function isOutOfRange(error: unknown): boolean {
  return error instanceof ConnectError && error.code === Code.OutOfRange;
}

function ignorePassing(error: unknown): void {
  if (isPassing(error) || (error instanceof ConnectError && error.code === Code.DeadlineExceeded)) return;
  throw error;
}

async function findInstallation(operator: Operator, machineId: string, generation: bigint, signal: AbortSignal) {
  try {
    const call = operator.client(InstallationService).getInstallation({ machineId, generation }, { signal });
    return (await call).installation;
  } catch (error) {
    if (error instanceof ConnectError && error.code === Code.NotFound) return undefined;
    throw error;
  }
}

function chunk<T>(items: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, index) =>
    items.slice(index * size, (index + 1) * size),
  );
}
