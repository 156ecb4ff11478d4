/** Agents that ask to be let in, newest first. */
import type { Enrolment } from "@api/enrolment_pb.js";
import { EnrolmentService } from "@api/enrolment_service_pb.js";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { useMemo } from "react";
import { enrolmentTerms } from "../../../../src/contract/enrolment-selector.ts";
import { useRefresh } from "../../live/use-refresh.ts";
import { ConditionFilter, useConditions } from "../../ui/condition-filter.tsx";
import { CopyableCommand } from "../../ui/copy.tsx";
import { PagedTable } from "../../ui/paged-table.tsx";
import { toCommand } from "../../ui/shell-words.ts";
import { usePages } from "../../ui/use-pages.ts";
import { makeEnrolmentColumns } from "./enrolment-columns.tsx";
import { EnrolmentDialog } from "./enrolment-dialog.tsx";
import { toEnrolmentFilter, toEnrolmentsCommand } from "./enrolments-filter.ts";

/** The page at /enrolments. */
export function EnrolmentsPage() {
  const search = useSearch({ from: "/enrolments" });
  const navigate = useNavigate({ from: "/enrolments" });
  const conditions = useConditions(search, enrolmentTerms);
  const request = useMemo(() => ({ filter: toEnrolmentFilter(conditions) }), [conditions]);
  const pages = usePages({ method: EnrolmentService.method.listEnrolments, request, pick });
  useRefresh(EnrolmentService.method.listEnrolments, ({ enrolmentId }) => enrolmentId !== "");
  const columns = useMemo(
    () => makeEnrolmentColumns((open) => void navigate({ search: (former) => ({ ...former, open }) })),
    [navigate],
  );

  return (
    <>
      <h1>Enrolments</h1>
      <p className="quiet">
        Agents with a key that no machine has. What they say of their machines is a claim: only the key is proved.
      </p>
      <div className="toolbar">
        <ConditionFilter
          rules={enrolmentTerms}
          conditions={conditions.filter}
          placeholder="Filter: state=rejected, expected=no, serial=…"
          onChange={(next) => void navigate({ search: next })}
        />
      </div>
      <PagedTable
        caption="Enrolments"
        columns={columns}
        pages={pages}
        getRowId={({ id }) => id}
        onOpen={({ id }) => void navigate({ search: { ...search, open: id } })}
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

const pick = (answer: { readonly enrolments: readonly Enrolment[] }) => answer.enrolments;
