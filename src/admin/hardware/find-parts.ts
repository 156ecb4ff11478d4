/** The handler of HardwareService.FindParts. */
import { create } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import {
  type FindPartsRequest,
  type FindPartsResponse,
  FindPartsResponseSchema,
} from "../../../gen/bmaas/admin/v1/hardware_service_pb.js";
import { normalizeSerialNumber } from "../../contract/identifiers.ts";
import { findHeldIdentifiers, type HeldIdentifier } from "../../db/queries/machine-search.ts";
import type { AdminContext } from "../admin-context.ts";
import { matchKinds } from "../machine/find-machines.ts";

/** Maximum number of machines that are returned, and so of parts. */
const maxHolders = 100;

/** Creates the handler of HardwareService.FindParts. */
export function createFindParts({ db }: AdminContext) {
  return async ({ text }: FindPartsRequest): Promise<FindPartsResponse> => {
    const matches = await findHeldIdentifiers(db, text, maxHolders + 1);
    const exact = matches.filter(({ isExact }) => isExact);
    const found = exact.length > 0 ? exact : matches;
    const byPart = Map.groupBy(found.slice(0, maxHolders), ({ kind, value, scope }) =>
      JSON.stringify([normalizeSerialNumber(value), kind, scope]),
    );
    return create(FindPartsResponseSchema, {
      parts: [...byPart.values()].sort(compareParts).map(toPart),
      more: found.length > maxHolders,
    });
  };
}

function toPart(holders: HeldIdentifier[]) {
  const [{ kind, value, part } = holders[0] as HeldIdentifier] = holders;
  return {
    kind: matchKinds[kind],
    value,
    part,
    holders: holders.sort(compareHolders).map(({ machineId, firstSeenAt, since, goneAt }) => ({
      machineId,
      firstSeenTime: timestampFromDate(firstSeenAt),
      ...(since && { sinceTime: timestampFromDate(since) }),
      ...(goneAt && { goneTime: timestampFromDate(goneAt) }),
    })),
  };
}

function compareParts([a]: readonly HeldIdentifier[], [b]: readonly HeldIdentifier[]): number {
  const keyOf = (held: HeldIdentifier | undefined) => `${held?.value} ${held?.kind} ${held?.scope}`;
  return keyOf(a) < keyOf(b) ? -1 : 1;
}

/** The machine that has the part comes first, then the one that had it last. */
function compareHolders(a: HeldIdentifier, b: HeldIdentifier): number {
  const [endA, endB] = [a, b].map(({ goneAt }) => goneAt?.getTime() ?? Number.POSITIVE_INFINITY) as [number, number];
  if (endA !== endB) return endB - endA;
  return a.machineId < b.machineId ? -1 : 1;
}
