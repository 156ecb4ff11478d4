/** The handler of MachineService.WatchMachines. */
import { create } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import type { HandlerContext } from "@connectrpc/connect";
import type { Enrolment } from "../../../gen/bmaas/admin/v1/enrolment_pb.js";
import type { Machine } from "../../../gen/bmaas/admin/v1/machine_pb.js";
import {
  type MachineFilter,
  MachineFilterSchema,
  type WatchMachinesRequest,
  type WatchMachinesResponse,
  WatchMachinesResponseSchema,
} from "../../../gen/bmaas/admin/v1/machine_service_pb.js";
import { readIssueTypes } from "../issue/to-issue.ts";
import { readLabelConditions } from "../machine/read-labels.ts";
import type { ChangeFeed } from "./change-feed.ts";
import { type ChangeBatch, isOfEnrolment, type WatchEvent } from "./change-reader.ts";
import { matchesFilter, namesMachine } from "./matches-filter.ts";
import { decodeResumeToken, encodeResumeToken } from "./resume-token.ts";

/** Creates the handler of MachineService.WatchMachines. */
export function createWatchMachines({ feed }: { readonly feed: ChangeFeed }) {
  return async function* (
    request: WatchMachinesRequest,
    context: HandlerContext,
  ): AsyncGenerator<WatchMachinesResponse> {
    const from = request.resumeToken === "" ? undefined : decodeResumeToken(request.resumeToken);
    const filter = request.filter ?? create(MachineFilterSchema);
    readLabelConditions(filter.labels);
    readIssueTypes("filter.issue_types", filter.issueTypes);
    for await (const batch of feed.watch(from, context.signal)) {
      yield* toResponses(batch, filter, request.enrolments);
      yield create(WatchMachinesResponseSchema, { resumeToken: encodeResumeToken(batch.point) });
    }
  };
}

function* toResponses(
  batch: ChangeBatch,
  filter: MachineFilter,
  withEnrolments: boolean,
): Generator<WatchMachinesResponse> {
  const nowMs = Date.now();
  for (const event of batch.events) {
    if (isOfEnrolment(event)) {
      if (withEnrolments) yield toEnrolmentResponse(event, batch.enrolments.get(event.machineId));
      continue;
    }
    const machine = batch.machines.get(event.machineId);
    const passes =
      machine === undefined ? namesMachine(filter, event.machineId) : matchesFilter(machine, filter, nowMs);
    if (passes) yield toResponse(event, machine);
  }
}

function toResponse(event: WatchEvent, machine: Machine | undefined): WatchMachinesResponse {
  const { machineId } = event;
  return create(WatchMachinesResponseSchema, { ...toCommonFields(event), machineId, ...(machine && { machine }) });
}

function toEnrolmentResponse(event: WatchEvent, enrolment: Enrolment | undefined): WatchMachinesResponse {
  const { machineId: enrolmentId } = event;
  return create(WatchMachinesResponseSchema, {
    ...toCommonFields(event),
    enrolmentId,
    ...(enrolment && { enrolment }),
  });
}

function toCommonFields({ point, at, kind, actor, detail }: WatchEvent) {
  const known = Object.entries(detail).flatMap(([name, value]) => (value === null ? [] : [[name, value] as const]));
  return {
    resumeToken: encodeResumeToken(point),
    eventTime: timestampFromDate(at),
    kind,
    actor,
    detail: Object.fromEntries(known),
  };
}
