/** Agents that ask to be let in, newest first. */
import type { Enrolment } from "@api/enrolment_pb.js";
import { EnrolmentService } from "@api/enrolment_service_pb.js";
import { useInfiniteQuery } from "@connectrpc/connect-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { useMemo } from "react";
import { useRefresh } from "../../live/use-refresh.ts";
import { ConditionFilter, useConditions } from "../../ui/condition-filter.tsx";
import { CopyableCommand } from "../../ui/copy.tsx";
import { DataTable } from "../../ui/data-table.tsx";
import { ErrorNote } from "../../ui/error-note.tsx";
import { toCommand } from "../../ui/shell-words.ts";
import { makeEnrolmentColumns } from "./enrolment-columns.tsx";
import { EnrolmentDialog } from "./enrolment-dialog.tsx";
import { enrolmentRules, toEnrolmentFilter, toEnrolmentsCommand } from "./enrolments-filter.ts";

/** Enrolments in a page of the API. */
const pageSize = 200;

/** The page at /enrolments. */
export function EnrolmentsPage() {
  const search = useSearch({ from: "/enrolments" });
  const navigate = useNavigate({ from: "/enrolments" });
  const conditions = useConditions(search, enrolmentRules);
  const filter = useMemo(() => toEnrolmentFilter(conditions), [conditions]);
  const query = useInfiniteQuery(
    EnrolmentService.method.listEnrolments,
    { filter, pageSize, pageToken: "" },
    { pageParamKey: "pageToken", getNextPageParam: ({ nextPageToken }) => nextPageToken || undefined },
  );
  useRefresh(EnrolmentService.method.listEnrolments, ({ enrolmentId }) => enrolmentId !== "");
  const enrolments = useMemo(() => query.data?.pages.flatMap((page) => page.enrolments) ?? none, [query.data]);
  const columns = useMemo(
    () => makeEnrolmentColumns((open) => void navigate({ search: (former) => ({ ...former, open }) })),
    [navigate],
  );
  const { isFetchingNextPage, hasNextPage, fetchNextPage } = query;

  return (
    <>
      <h1>Enrolments</h1>
      <p className="quiet">
        Agents with a key that no machine has. What they say of their machines is a claim: only the key is proved.
      </p>
      <div className="toolbar">
        <ConditionFilter
          rules={enrolmentRules}
          conditions={conditions.filter}
          placeholder="Filter: state=rejected, expected=no, serial=…"
          onChange={(next) => void navigate({ search: next })}
        />
      </div>
      {query.isError && <ErrorNote error={query.error} onRetry={() => void query.refetch()} />}
      <DataTable
        caption="Enrolments"
        columns={columns}
        rows={enrolments}
        getRowId={({ id }) => id}
        onReachEnd={() => {
          if (hasNextPage && !isFetchingNextPage) void fetchNextPage();
        }}
        onOpen={({ id }) => void navigate({ search: { ...search, open: id } })}
        note={query.isPending || isFetchingNextPage ? "Loading…" : undefined}
        empty={conditions.filter === undefined ? "No agent waits to be let in." : "No enrolment matches."}
      />
      <h2>In the terminal</h2>
      <CopyableCommand command={toCommand(...toEnrolmentsCommand(conditions))} />
      {search.open !== undefined && (
        <EnrolmentDialog
          key={search.open}
          enrolmentId={search.open}
          onClose={() => void navigate({ search: ({ open: _, ...rest }) => rest })}
        />
      )}
    </>
  );
}

const none: readonly Enrolment[] = [];
