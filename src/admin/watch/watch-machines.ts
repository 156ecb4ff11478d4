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
import { sendShared } from "../../rpc/calls/shared-messages.ts";
import { readIssueTypes, toIssue } from "../issue/to-issue.ts";
import { readLabelConditions } from "../machine/read-labels.ts";
import type { ChangeFeed } from "./change-feed.ts";
import { type ChangeBatch, isOfEnrolment, type WatchEvent } from "./change-reader.ts";
import { decodeResumeToken, encodeResumeToken, isSamePoint, type ResumePoint } from "./resume-token.ts";

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
    yield* sendShared(context, feed.watch(from, context.signal), (batch) =>
      toResponses(batch, filter, request.enrolments),
    );
  };
}

/** Returns what the watcher asked for of a batch, and a token if that does not end with the batch's. */
function toResponses(batch: ChangeBatch, filter: MachineFilter, withEnrolments: boolean): WatchMachinesResponse[] {
  const nowMs = Date.now();
  const wanted = batch.events.filter((event) =>
    isOfEnrolment(event) ? withEnrolments : passes(event, batch.machines.get(event.machineId), filter, nowMs),
  );
  const responses = wanted.map((event) => findResponse(event, batch));
  const last = wanted.at(-1);
  // Every message costs each watcher as much as the other, so a token that the watcher has is not sent again.
  if (last === undefined || !isSamePoint(last.point, batch.point)) responses.push(findTokenResponse(batch.point));
  return responses;
}

/** The messages of events, which all watchers share. */
const responses = new WeakMap<WatchEvent, WatchMachinesResponse>();
/** The messages that have nothing but a token. */
const tokenResponses = new WeakMap<ResumePoint, WatchMachinesResponse>();

function findTokenResponse(point: ResumePoint): WatchMachinesResponse {
  let response = tokenResponses.get(point);
  if (response === undefined) {
    response = create(WatchMachinesResponseSchema, { resumeToken: encodeResumeToken(point) });
    tokenResponses.set(point, response);
  }
  return response;
}

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

function toCommonFields({ point, at, kind, actor, detail, id, issue }: WatchEvent) {
  const known = Object.entries(detail).flatMap(([name, value]) => (value === null ? [] : [[name, value] as const]));
  return {
    resumeToken: encodeResumeToken(point),
    eventTime: timestampFromDate(at),
    kind,
    actor,
    detail: Object.fromEntries(known),
    eventId: id?.toString() ?? "",
    ...(issue && { issue: toIssue(issue) }),
  };
}
