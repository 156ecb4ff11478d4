/** The handler of MachineService.WatchMachines. */
import { create } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import type { HandlerContext } from "@connectrpc/connect";
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
import type { ChangeBatch, WatchEvent } from "./change-reader.ts";
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
      yield* toResponses(batch, filter);
      yield create(WatchMachinesResponseSchema, { resumeToken: encodeResumeToken(batch.point) });
    }
  };
}

function* toResponses(batch: ChangeBatch, filter: MachineFilter): Generator<WatchMachinesResponse> {
  const nowMs = Date.now();
  for (const event of batch.events) {
    const machine = batch.machines.get(event.machineId);
    const passes =
      machine === undefined ? namesMachine(filter, event.machineId) : matchesFilter(machine, filter, nowMs);
    if (passes) yield toResponse(event, machine);
  }
}

function toResponse(event: WatchEvent, machine: Machine | undefined): WatchMachinesResponse {
  const detail = Object.entries(event.detail).flatMap(([name, value]) => (value === null ? [] : [[name, value]]));
  return create(WatchMachinesResponseSchema, {
    resumeToken: encodeResumeToken(event.point),
    eventTime: timestampFromDate(event.at),
    kind: event.kind,
    actor: event.actor,
    machineId: event.machineId,
    detail: Object.fromEntries(detail),
    ...(machine && { machine }),
  });
}
