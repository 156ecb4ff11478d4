/** The handler of IssueService.ListIssues. */
import { create } from "@bufbuild/protobuf";
import {
  type ListIssuesRequest,
  type ListIssuesResponse,
  ListIssuesResponseSchema,
} from "../../../gen/bmaas/admin/v1/issue_service_pb.js";
import { isIssueType, issueSeverities } from "../../contract/issue-types.ts";
import { type IssueKey, isPageEnd, listIssues } from "../../db/queries/issue-list.ts";
import type { AdminContext } from "../admin-context.ts";
import { toListScope, toMachineCondition } from "../machine/to-machine-filter.ts";
import { decodePageToken, encodePageToken, parseKeyUuid } from "../page-token.ts";
import { readIssueTypes, readSeverities, toIssue } from "./to-issue.ts";

const defaultPageSize = 50;

/** Creates the handler of IssueService.ListIssues. */
export function createListIssues({ db }: Pick<AdminContext, "db">) {
  return async (request: ListIssuesRequest): Promise<ListIssuesResponse> => {
    const types = readIssueTypes("types", request.types);
    const severities = readSeverities(request.severities);
    const filter = toMachineCondition(request.filter);
    const scope = ["issues", types ?? "", severities ?? "", ...toListScope(filter)];
    const after = decodePageToken(scope, request.pageToken, parseKey);
    const limit = request.pageSize || defaultPageSize;
    const { issues, next } = await listIssues(db, { types, severities, filter, after, limit });
    return create(ListIssuesResponseSchema, {
      issues: issues.map(toIssue),
      nextPageToken: next === undefined ? "" : encodePageToken(scope, toKey(next)),
    });
  };
}

/** A part's name contains no line feed in a key. */
function toKey({ type, severity, machineId, target }: IssueKey): string[] {
  return [type, severity, machineId, ...(target === undefined ? [] : [JSON.stringify(target)])];
}

function parseKey([type = "", severity = "", id = "", target, ...rest]: readonly string[]): IssueKey | undefined {
  const known = issueSeverities.find((name) => name === severity);
  if (!isIssueType(type) || known === undefined || rest.length > 0) return undefined;
  const machineId = id === "" ? "" : parseKeyUuid(id);
  const text = target === undefined ? undefined : parseText(target);
  if (machineId === undefined || text === null) return undefined;
  const key = { type, severity: known, machineId, target: text };
  return isPageEnd(key) ? key : undefined;
}

/** Returns a text that was written as JSON, or null for anything else. */
function parseText(json: string): string | null {
  try {
    const text: unknown = JSON.parse(json);
    return typeof text === "string" && !text.includes("\0") ? text.toWellFormed() : null;
  } catch {
    return null;
  }
}
