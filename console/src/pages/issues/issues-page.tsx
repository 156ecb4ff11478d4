/** What is wrong with machines and with the server, the most urgent first. */
import type { Issue } from "@api/issue_pb.js";
import { IssueService } from "@api/issue_service_pb.js";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { createColumnHelper } from "@tanstack/react-table";
import { useMemo, useState } from "react";
import { useRefresh } from "../../live/use-refresh.ts";
import { ConditionFilter, useConditions } from "../../ui/condition-filter.tsx";
import { CopyableCommand } from "../../ui/copy.tsx";
import type { TableAbilities } from "../../ui/data-table.tsx";
import { MachineLink } from "../../ui/machine-link.tsx";
import { PagedTable } from "../../ui/paged-table.tsx";
import { ServerText } from "../../ui/server-text.tsx";
import { IssueSeverityBadge } from "../../ui/severity.tsx";
import { toCommand } from "../../ui/shell-words.ts";
import { Time } from "../../ui/time.tsx";
import { usePages } from "../../ui/use-pages.ts";
import { IssueDialog } from "./issue-dialog.tsx";
import { issueRules, toIssuesCommand, toIssuesRequest } from "./issues-filter.ts";

/** How much of a text a cell shows, in characters. */
const cellLimit = 90;

/** The page at /issues. */
export function IssuesPage() {
  const search = useConditions(useSearch({ from: "/issues" }), issueRules);
  const navigate = useNavigate({ from: "/issues" });
  const [opened, setOpened] = useState<Issue>();
  const request = useMemo(() => toIssuesRequest(search), [search]);
  const pages = usePages({ method: IssueService.method.listIssues, request, pick });
  useRefresh(IssueService.method.listIssues, ({ kind }) => kind === "issue_opened" || kind === "issue_closed");
  const columns = useMemo(() => makeColumns(setOpened), []);

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
      <PagedTable
        caption="Issues"
        columns={columns}
        pages={pages}
        getRowId={({ machineId, type, target }) => `${machineId} ${type} ${target}`}
        onOpen={setOpened}
        empty={search.filter === undefined ? "Nothing is wrong." : "No issue matches."}
      />
      <h2>In the terminal</h2>
      <CopyableCommand command={toCommand(...toIssuesCommand(search))} />
      {opened !== undefined && <IssueDialog issue={opened} onClose={() => setOpened(undefined)} />}
    </>
  );
}

const helper = createColumnHelper<TableAbilities, Issue>();

function makeColumns(onOpen: (issue: Issue) => void) {
  return helper.columns([
    helper.accessor("severity", {
      header: "Severity",
      cell: ({ getValue }) => <IssueSeverityBadge severity={getValue()} />,
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
    helper.accessor(({ target, detail }) => [target, detail].filter(Boolean).join(": "), {
      id: "detail",
      header: "Detail",
      cell: ({ getValue }) => <ServerText text={getValue()} limit={cellLimit} />,
    }),
  ]);
}

const pick = (answer: { readonly issues: readonly Issue[] }) => answer.issues;
