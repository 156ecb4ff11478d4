/** The handler of EnrolmentService.ListEnrolments. */
import { create } from "@bufbuild/protobuf";
import { durationMs } from "@bufbuild/protobuf/wkt";
import type { EnrolmentState } from "../../../gen/bmaas/admin/v1/enrolment_pb.js";
import {
  type ListEnrolmentsRequest,
  type ListEnrolmentsResponse,
  ListEnrolmentsResponseSchema,
  type EnrolmentFilter as SentFilter,
} from "../../../gen/bmaas/admin/v1/enrolment_service_pb.js";
import { parseMachineId } from "../../contract/machine-id.ts";
import {
  type EnrolmentFilter,
  type EnrolmentKey,
  type EnrolmentOverview,
  listEnrolments,
} from "../../db/queries/enrolment-list.ts";
import { readAddress } from "../../rpc/callers/client-address.ts";
import type { AdminContext } from "../admin-context.ts";
import { decodePageToken, encodePageToken, type ListScope, parseKeyNumber, parseKeyUuid } from "../page-token.ts";
import { enrolmentStates, toEnrolments } from "./to-enrolment.ts";

const defaultPageSize = 50;

/** Creates the handler of EnrolmentService.ListEnrolments. */
export function createListEnrolments({ db }: Pick<AdminContext, "db">) {
  return async (request: ListEnrolmentsRequest): Promise<ListEnrolmentsResponse> => {
    const filter = toFilter(request.filter);
    const scope = toScope(filter);
    const limit = request.pageSize || defaultPageSize;
    // One more than the page holds tells whether more follow.
    const rows = await listEnrolments(db, filter, {
      after: decodePageToken(scope, request.pageToken, parseKey),
      limit: limit + 1,
    });
    const page = rows.slice(0, limit);
    const last = rows.length > limit ? page.at(-1)?.key : undefined;
    return create(ListEnrolmentsResponseSchema, {
      enrolments: await toEnrolments(
        db,
        page.map(({ enrolment }) => enrolment),
      ),
      nextPageToken: last === undefined ? "" : encodePageToken(scope, [last.firstSeenAt.toString(), last.id]),
    });
  };
}

function toFilter(sent: SentFilter | undefined): EnrolmentFilter {
  if (sent === undefined) return {};
  const { states, enrolmentIds, address, serialNumber, manufacturer, product, minAge, expected } = sent;
  return {
    ...(states.length > 0 && { states: states.map(nameState).toSorted() }),
    ...(enrolmentIds.length > 0 && { enrolmentIds: enrolmentIds.map(parseMachineId).toSorted() }),
    ...(address !== "" && { address: readAddress(address) ?? address }),
    ...(serialNumber !== "" && { serialNumber }),
    ...(manufacturer !== "" && { manufacturer }),
    ...(product !== "" && { product }),
    ...(expected !== undefined && { isExpected: expected }),
    ...(minAge && { minAgeSeconds: durationMs(minAge) / 1000 }),
  };
}

/** Returns a state's name. Validation has refused values that the contract does not define. */
function nameState(state: EnrolmentState): EnrolmentOverview["state"] {
  const names = Object.keys(enrolmentStates) as EnrolmentOverview["state"][];
  return names.find((name) => enrolmentStates[name] === state) ?? "waiting";
}

function toScope(filter: EnrolmentFilter): ListScope {
  return ["enrolments", ...Object.entries(filter).map(([name, value]) => `${name}=${JSON.stringify(value)}`)];
}

/** Parses the key of a page token: the time and the id of the last enrolment of the previous page. */
function parseKey([time, id, ...rest]: readonly string[]): EnrolmentKey | undefined {
  const [firstSeenAt, uuid] = [parseKeyNumber(time), parseKeyUuid(id)];
  if (firstSeenAt === undefined || uuid === undefined || rest.length > 0) return undefined;
  return { firstSeenAt, id: uuid };
}
