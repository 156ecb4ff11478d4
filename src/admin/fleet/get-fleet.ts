/** The handler of FleetService.GetFleet. */
import { create } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import {
  type FleetGroup,
  FleetGroupSchema,
  type GetFleetRequest,
  type GetFleetResponse,
  GetFleetResponseSchema,
  IssueCountSchema,
} from "../../../gen/bmaas/admin/v1/fleet_service_pb.js";
import type { FleetCount } from "../../db/queries/fleet.ts";
import type { AdminContext } from "../admin-context.ts";
import { severities } from "../issue/to-issue.ts";
import { readLabelKeys } from "../machine/read-labels.ts";
import { machineStates } from "../machine/to-machine.ts";

/** Creates the handler of FleetService.GetFleet. */
export function createGetFleet({ fleet }: Pick<AdminContext, "fleet">) {
  return async ({ labelKeys }: GetFleetRequest): Promise<GetFleetResponse> => {
    const count = await fleet.by(readLabelKeys("label_keys", labelKeys)).get();
    const { countedAt, groups, issues, issuesComparedAt, waitingEnrolments, oldestWaitingAt } = count;
    return create(GetFleetResponseSchema, {
      countTime: timestampFromDate(countedAt),
      groups: groups.map(toFleetGroup).sort(compareGroups),
      issues: issues.map(({ severity, ...count }) =>
        create(IssueCountSchema, { ...count, severity: severities[severity] }),
      ),
      ...(issuesComparedAt && { issueTime: timestampFromDate(issuesComparedAt) }),
      waitingEnrolments,
      ...(oldestWaitingAt && { oldestWaitingEnrolmentTime: timestampFromDate(oldestWaitingAt) }),
    });
  };
}

function toFleetGroup(group: FleetCount["groups"][number]): FleetGroup {
  const { provider, location, state, oldestStateTime, ...figures } = group;
  return create(FleetGroupSchema, {
    provider: provider ?? "",
    location: location ?? "",
    state: machineStates[state],
    ...figures,
    oldestStateTime: timestampFromDate(oldestStateTime),
  });
}

function compareGroups(a: FleetGroup, b: FleetGroup): number {
  return (
    compareText(a.provider, b.provider) ||
    compareText(a.location, b.location) ||
    a.state - b.state ||
    compareText(JSON.stringify(a.labels), JSON.stringify(b.labels))
  );
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
