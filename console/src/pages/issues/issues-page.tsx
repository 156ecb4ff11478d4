/** What is wrong with machines and with the server, the most urgent first. */
import { type Issue, IssueSeverity } from "@api/issue_pb.js";
import { IssueService } from "@api/issue_service_pb.js";
import { useInfiniteQuery } from "@connectrpc/connect-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { createColumnHelper } from "@tanstack/react-table";
import { useMemo, useState } from "react";
import { useRefresh } from "../../live/use-refresh.ts";
import { ConditionFilter, useConditions } from "../../ui/condition-filter.tsx";
import { CopyableCommand } from "../../ui/copy.tsx";
import { DataTable, type TableAbilities } from "../../ui/data-table.tsx";
import { ErrorNote } from "../../ui/error-note.tsx";
import { MachineLink } from "../../ui/machine-link.tsx";
import { Badge, type Tone } from "../../ui/machine-state.tsx";
import { SafeText } from "../../ui/safe-text.tsx";
import { toCommand } from "../../ui/shell-words.ts";
import { Time } from "../../ui/time.tsx";
import { IssueDialog } from "./issue-dialog.tsx";
import { issueRules, severities, toIssuesCommand, toIssuesRequest } from "./issues-filter.ts";

/** Issues in a page of the API. */
const pageSize = 200;
/** How much of a text a cell shows, in characters. */
const cellLimit = 90;

/** The page at /issues. */
export function IssuesPage() {
  const search = useConditions(useSearch({ from: "/issues" }), issueRules);
  const navigate = useNavigate({ from: "/issues" });
  const [opened, setOpened] = useState<Issue>();
  const request = useMemo(() => toIssuesRequest(search), [search]);
  const query = useInfiniteQuery(
    IssueService.method.listIssues,
    { ...request, pageSize, pageToken: "" },
    { pageParamKey: "pageToken", getNextPageParam: ({ nextPageToken }) => nextPageToken || undefined },
  );
  useRefresh(IssueService.method.listIssues, ({ kind }) => kind === "issue_opened" || kind === "issue_closed");
  const issues = useMemo(() => query.data?.pages.flatMap((page) => page.issues) ?? [], [query.data]);
  const columns = useMemo(() => makeColumns(setOpened), []);
  const { isFetchingNextPage, hasNextPage, fetchNextPage } = query;

  return (
    <>
      <h1>Issues</h1>
      <div className="toolbar">
        <ConditionFilter
          rules={issueRules}
          conditions={search.filter}
          placeholder="Filter: severity=critical, type=…, state=…, label.rack=…"
          onChange={(next) => void navigate({ search: next })}
        />
      </div>
      {query.isError && <ErrorNote error={query.error} onRetry={() => void query.refetch()} />}
      <DataTable
        caption="Issues"
        columns={columns}
        rows={issues}
        getRowId={({ machineId, type, target }) => `${machineId} ${type} ${target}`}
        onReachEnd={() => {
          if (hasNextPage && !isFetchingNextPage) void fetchNextPage();
        }}
        onOpen={setOpened}
        note={query.isPending || isFetchingNextPage ? "Loading…" : undefined}
        empty={search.filter === undefined ? "Nothing is wrong." : "No issue matches."}
      />
      <h2>In the terminal</h2>
      <CopyableCommand command={toCommand(...toIssuesCommand(search))} />
      {opened !== undefined && <IssueDialog issue={opened} onClose={() => setOpened(undefined)} />}
    </>
  );
}

const tones: Readonly<Record<IssueSeverity, Tone>> = {
  [IssueSeverity.UNSPECIFIED]: "calm",
  [IssueSeverity.INFO]: "calm",
  [IssueSeverity.WARNING]: "warn",
  [IssueSeverity.CRITICAL]: "bad",
};

const helper = createColumnHelper<TableAbilities, Issue>();

function makeColumns(onOpen: (issue: Issue) => void) {
  return helper.columns([
    helper.accessor("severity", {
      header: "Severity",
      cell: ({ getValue }) => <Badge tone={tones[getValue()] ?? "calm"}>{severities.nameOf(getValue())}</Badge>,
    }),
    helper.accessor("type", {
      header: "Issue",
      cell: ({ getValue, row }) => (
        <button type="button" className="link" title={row.original.summary} onClick={() => onOpen(row.original)}>
          {getValue().replaceAll("_", " ")}
        </button>
      ),
    }),
    helper.accessor("machineId", {
      header: "Machine",
      cell: ({ getValue }) =>
        getValue() === "" ? <span className="quiet">the server</span> : <MachineLink machineId={getValue()} />,
    }),
    helper.accessor("sinceTime", { header: "Since", cell: ({ getValue }) => <Time at={getValue()} as="age" /> }),
    helper.accessor("target", { header: "Part", cell: ({ getValue }) => <SafeText text={getValue()} limit={40} /> }),
    helper.accessor("detail", {
      header: "Detail",
      cell: ({ getValue }) => <SafeText text={getValue()} limit={cellLimit} />,
    }),
  ]);
}
