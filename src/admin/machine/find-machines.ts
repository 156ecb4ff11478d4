/** The handler of MachineService.FindMachines. */
import { create } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import {
  type FindMachinesRequest,
  type FindMachinesResponse,
  FindMachinesResponseSchema,
  MatchKind,
} from "../../../gen/bmaas/admin/v1/machine_service_pb.js";
import { findMachineMatches, type MachineMatch } from "../../db/queries/machine-search.ts";
import type { AdminContext } from "../admin-context.ts";
import { readMachines } from "./read-machine.ts";

const defaultLimit = 20;
/** How many matches of each kind are read for each machine that is returned: a machine's disks may all match. */
const matchesPerMachine = 4;
/** Maximum number of matches that are returned of one machine. */
const maxMatches = 10;

/** Kinds of matches by their names in the database, the most telling first. */
export const matchKinds = {
  machine_id: MatchKind.MACHINE_ID,
  provider_id: MatchKind.PROVIDER_ID,
  serial_number: MatchKind.SERIAL_NUMBER,
  system_uuid: MatchKind.SYSTEM_UUID,
  board_serial_number: MatchKind.BOARD_SERIAL_NUMBER,
  chassis_serial_number: MatchKind.CHASSIS_SERIAL_NUMBER,
  mac: MatchKind.MAC,
  disk_serial_number: MatchKind.DISK_SERIAL_NUMBER,
  disk_wwn: MatchKind.DISK_WWN,
  address: MatchKind.ADDRESS,
  label: MatchKind.LABEL,
} as const satisfies Record<MachineMatch["kind"], MatchKind>;

const kindOrder = Object.keys(matchKinds);

/** Creates the handler of MachineService.FindMachines. */
export function createFindMachines({ db }: AdminContext) {
  return async ({ text, limit }: FindMachinesRequest): Promise<FindMachinesResponse> => {
    const wanted = limit || defaultLimit;
    const matchLimit = matchesPerMachine * (wanted + 1);
    const matches = await findMachineMatches(db, text, matchLimit);
    const byMachine = Map.groupBy(matches.sort(compare), ({ machineId }) => machineId);
    const found = [...byMachine].slice(0, wanted);
    const machines = await readMachines(
      db,
      found.map(([machineId]) => machineId),
    );
    return create(FindMachinesResponseSchema, {
      // A machine that was deleted in between is left out.
      results: found.flatMap(([machineId, own]) => {
        const machine = machines.get(machineId);
        return machine === undefined ? [] : [{ machine, matches: own.slice(0, maxMatches).map(toMatch) }];
      }),
      more: byMachine.size > wanted || isCutOff(matches, matchLimit),
    });
  };
}

/** Exact matches come first, then those that the machine has now, then by kind. */
function compare(a: MachineMatch, b: MachineMatch): number {
  return (
    Number(b.isExact) - Number(a.isExact) ||
    Number(a.goneAt !== undefined) - Number(b.goneAt !== undefined) ||
    kindOrder.indexOf(a.kind) - kindOrder.indexOf(b.kind) ||
    order(a.value, b.value) ||
    order(a.machineId, b.machineId)
  );
}

function order(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

/** Returns whether a search ended at its limit. There is one for each kind of facts and one for all identifiers. */
function isCutOff(matches: readonly MachineMatch[], limit: number): boolean {
  const searches = Map.groupBy(matches, ({ kind, since, isExact }) => `${since === undefined ? kind : ""} ${isExact}`);
  return [...searches.values()].some(({ length }) => length >= limit);
}

function toMatch({ kind, value, part, isExact, since, goneAt }: MachineMatch) {
  return {
    kind: matchKinds[kind],
    value,
    part,
    exact: isExact,
    ...(since && { sinceTime: timestampFromDate(since) }),
    ...(goneAt && { goneTime: timestampFromDate(goneAt) }),
  };
}
