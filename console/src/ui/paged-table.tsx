/** A table of a list that is read page by page. */
import type { RowData } from "@tanstack/react-table";
import type { ReactNode } from "react";
import { Button } from "./button.tsx";
import { DataTable, type DataTableProps } from "./data-table.tsx";
import { ErrorNote } from "./error-note.tsx";
import type { Pages } from "./use-pages.ts";

/** Shows the rows that were read, and reads on as one scrolls. It says when something is wrong with the list. */
export function PagedTable<Row extends RowData>(
  props: Omit<DataTableProps<Row>, "rows" | "note" | "onReachEnd" | "isReading"> & {
    readonly pages: Pages<Row>;
    /** Rows to show in place of those of the pages. */
    readonly rows?: readonly Row[];
    readonly empty: ReactNode;
  },
) {
  const { pages, rows = pages.rows, ...table } = props;
  const { error, isBehind, readAnew, retry, readOn, isPending, isReading, isRereading } = pages;
  return (
    <>
      {error !== null && <ErrorNote error={error} onRetry={retry} />}
      {isBehind && (
        <p role="status">
          This list is too long to be read again by itself: rows may have come or gone.{" "}
          <button type="button" onClick={readAnew}>
            Read it anew
          </button>
        </p>
      )}
      <DataTable
        {...table}
        rows={rows}
        isReading={isReading}
        onReachEnd={readOn}
        note={isPending || (isReading && !isRereading) ? "Loading…" : undefined}
      />
    </>
  );
}

/** A button that reads what follows of a list that is no table, as long as something follows. */
export function ReadOn<Row>({ pages, what }: { readonly pages: Pages<Row>; readonly what: string }) {
  const { isWhole, isPending, isReading, isBehind, readOn, readAnew } = pages;
  if (isPending || (isWhole && !isBehind)) return null;
  return (
    <p>
      {!isWhole && (
        <Button onClick={readOn} isInert={isReading}>
          {isReading ? "Loading…" : what}
        </Button>
      )}{" "}
      {isBehind && (
        <button type="button" onClick={readAnew}>
          Something has changed: read it anew
        </button>
      )}
    </p>
  );
}
