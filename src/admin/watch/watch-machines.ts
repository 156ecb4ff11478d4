/** The handler of MachineService.WatchMachines. */
import { create, toBinary } from "@bufbuild/protobuf";
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
import { matchesFilter, namesMachine } from "../../contract/matches-filter.ts";
import { readIssueTypes, toIssue } from "../issue/to-issue.ts";
import { readLabelConditions } from "../machine/read-labels.ts";
import type { ChangeFeed } from "./change-feed.ts";
import { type ChangeBatch, isOfEnrolment, type WatchEvent } from "./change-reader.ts";
import { decodeResumeToken, encodeResumeToken, isSamePoint } from "./resume-token.ts";

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
      const last = yield* toResponses(batch, filter, request.enrolments);
      // Every message costs each watcher as much as the other, so a token that the watcher has is not sent again.
      if (last === undefined || !isSamePoint(last.point, batch.point))
        yield create(WatchMachinesResponseSchema, { resumeToken: encodeResumeToken(batch.point) });
    }
  };
}

/** Yields what the watcher asked for of a batch, and returns the last event of it. */
function* toResponses(
  batch: ChangeBatch,
  filter: MachineFilter,
  withEnrolments: boolean,
): Generator<WatchMachinesResponse, WatchEvent | undefined> {
  const nowMs = Date.now();
  let last: WatchEvent | undefined;
  for (const event of batch.events) {
    const machine = batch.machines.get(event.machineId);
    const isWanted = isOfEnrolment(event) ? withEnrolments : passes(event, machine, filter, nowMs);
    if (!isWanted) continue;
    yield findResponse(event, batch);
    last = event;
  }
  return last;
}

/** The messages of events, which all watchers share. */
const responses = new WeakMap<WatchEvent, WatchMachinesResponse>();

function findResponse(event: WatchEvent, { machines, enrolments }: ChangeBatch): WatchMachinesResponse {
  let response = responses.get(event);
  if (response === undefined) {
    response = isOfEnrolment(event)
      ? toEnrolmentResponse(event, enrolments.get(event.machineId))
      : toResponse(event, machines.get(event.machineId));
    responses.set(event, response);
  }
  return response;
}

/** Returns whether an event passes. A filter by issues lets their end pass, too. */
function passes(event: WatchEvent, machine: Machine | undefined, given: MachineFilter, nowMs: number): boolean {
  const isOfType = given.issueTypes.includes(event.issue?.type ?? "");
  const filter = isOfType ? { ...given, issueTypes: [] } : given;
  if (event.machineId === "") return toBinary(MachineFilterSchema, filter).length === 0;
  return machine === undefined ? namesMachine(filter, event.machineId) : matchesFilter(machine, filter, nowMs);
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

function toCommonFields({ point, at, kind, actor, detail, issue }: WatchEvent) {
  const known = Object.entries(detail).flatMap(([name, value]) => (value === null ? [] : [[name, value] as const]));
  return {
    resumeToken: encodeResumeToken(point),
    eventTime: timestampFromDate(at),
    kind,
    actor,
    detail: Object.fromEntries(known),
    ...(issue && { issue: toIssue(issue) }),
  };
}
