/**
 * The table of every list: TanStack Table for the columns, and TanStack Virtual so that only the rows that can be seen
 * are in the page. `j` and `k` move a cursor, Enter opens the row under it, and `x` selects it.
 */
import { type ColumnDef, columnVisibilityFeature, type RowData, tableFeatures, useTable } from "@tanstack/react-table";
import { useVirtualizer } from "@tanstack/react-virtual";
import { type ReactNode, useEffect, useEffectEvent, useRef, useState } from "react";
import { useKeys } from "./keyboard.tsx";

/** What all tables can do. Columns are made with `createColumnHelper<TableAbilities, Row>()`. */
export const tableAbilities = tableFeatures({ columnVisibilityFeature });
/** Type of `tableAbilities`. */
export type TableAbilities = typeof tableAbilities;

/** Height of a row in pixels, as styles/table.css makes it. */
const rowHeightPx = 32;
/** Rows beyond the visible ones that are in the page, so that fast scrolling shows no gap. */
const overscan = 12;
/** How many rows before the end the next page is asked for. */
const loadAhead = 150;

/** Rows that somebody has selected. */
export interface Selection {
  readonly ids: ReadonlySet<string>;
  readonly onChange: (ids: ReadonlySet<string>) => void;
}

/** Options of `DataTable`. */
export interface DataTableProps<Row extends RowData> {
  /** What the table shows, for those who cannot see it. */
  readonly caption: string;
  // biome-ignore lint/suspicious/noExplicitAny: each column has a value of its own type.
  readonly columns: ColumnDef<TableAbilities, Row, any>[];
  /** Ids of columns that are not shown. */
  readonly hiddenColumns?: readonly string[];
  readonly rows: readonly Row[];
  readonly getRowId: (row: Row) => string;
  /** Number of rows that there are, if it is known and differs from those that are loaded. */
  readonly totalRows?: number | undefined;
  /** Called when the rows that are loaded come to an end, and again after something was read. */
  readonly onReachEnd?: () => void;
  /** Whether rows are being read. */
  readonly isReading?: boolean;
  /** Called for Enter and for a click on a row that is not on something of its own. */
  readonly onOpen?: (row: Row) => void;
  readonly selection?: Selection;
  /** Stands under the last row, such as "Loading…". */
  readonly note?: ReactNode;
  /** What to show when there are no rows. */
  readonly empty?: ReactNode;
}

/** Shows rows. It is as tall as its container lets it be, and scrolls by itself. */
export function DataTable<Row extends RowData>(props: DataTableProps<Row>) {
  const { caption, columns, hiddenColumns = [], rows, getRowId, totalRows, onOpen, selection, note, empty } = props;
  const frame = useRef<HTMLDivElement>(null);
  const [cursor, setCursor] = useState(-1);
  const columnVisibility = Object.fromEntries(hiddenColumns.map((id) => [id, false]));
  const table = useTable({
    features: tableAbilities,
    columns,
    data: rows as Row[],
    getRowId,
    state: { columnVisibility },
  });
  const tableRows = table.getRowModel().rows;
  const virtualizer = useVirtualizer({
    count: tableRows.length,
    getScrollElement: () => frame.current,
    estimateSize: () => rowHeightPx,
    overscan,
  });
  const items = virtualizer.getVirtualItems();
  const lastShown = items.at(-1)?.index ?? -1;
  const reachEnd = useEffectEvent(() => props.onReachEnd?.());
  const isNearEnd = tableRows.length > 0 && lastShown >= tableRows.length - loadAhead;
  const { isReading = false } = props;
  // biome-ignore lint/correctness/useExhaustiveDependencies: each new page may be followed by another.
  useEffect(() => {
    if (isNearEnd && !isReading) reachEnd();
  }, [isNearEnd, isReading, tableRows.length]);

  const move = (to: number) => {
    const index = Math.max(0, Math.min(to, rows.length - 1));
    setCursor(index);
    virtualizer.scrollToIndex(index, { align: "auto" });
  };
  const toggle = (id: string) => {
    if (selection === undefined) return;
    const ids = new Set(selection.ids);
    if (!ids.delete(id)) ids.add(id);
    selection.onChange(ids);
  };
  const atCursor = rows[cursor];
  useKeys([
    { key: "j", description: "next row", run: () => move(cursor + 1) },
    { key: "k", description: "previous row", run: () => move(cursor - 1) },
    ...(onOpen === undefined
      ? []
      : [{ key: "Enter", description: "open the row", run: () => atCursor !== undefined && onOpen(atCursor) }]),
    ...(selection === undefined
      ? []
      : [
          {
            key: "x",
            description: "select the row",
            run: () => atCursor !== undefined && toggle(getRowId(atCursor)),
          },
        ]),
  ]);

  const topPx = items[0]?.start ?? 0;
  const bottomPx = virtualizer.getTotalSize() - (items.at(-1)?.end ?? 0);
  const headers = table.getHeaderGroups();
  const width = (headers[0]?.headers.length ?? 1) + (selection === undefined ? 0 : 1);
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by the keyboard.
    <section className="table-frame" ref={frame} aria-label={caption} tabIndex={0}>
      <table className="data-table" aria-rowcount={(totalRows ?? rows.length) + 1}>
        <caption className="visually-hidden">{caption}</caption>
        <thead>
          {headers.map((group) => (
            <tr key={group.id} aria-rowindex={1}>
              {selection !== undefined && (
                <th scope="col">
                  <input
                    type="checkbox"
                    aria-label="Select all rows that are loaded"
                    checked={rows.length > 0 && selection.ids.size >= rows.length}
                    onChange={(event) =>
                      selection.onChange(new Set(event.target.checked ? rows.map((row) => getRowId(row)) : []))
                    }
                  />
                </th>
              )}
              {group.headers.map((header) => (
                <th key={header.id} scope="col">
                  {header.isPlaceholder ? null : <table.FlexRender header={header} />}
                </th>
              ))}
            </tr>
          ))}
        </thead>
        <tbody>
          <Spacer heightPx={topPx} width={width} />
          {items.map(({ index }) => {
            const row = tableRows[index];
            if (row === undefined) return null;
            const isSelected = selection?.ids.has(row.id) === true;
            return (
              <tr
                key={row.id}
                aria-rowindex={index + 2}
                aria-selected={selection === undefined ? undefined : isSelected}
                className={index === cursor ? "cursor" : undefined}
                onClick={(event) => {
                  setCursor(index);
                  if (onOpen !== undefined && !isOfItself(event.target)) onOpen(row.original);
                }}
              >
                {selection !== undefined && (
                  <td>
                    <input
                      type="checkbox"
                      aria-label={`Select ${row.id}`}
                      checked={isSelected}
                      onChange={() => toggle(row.id)}
                    />
                  </td>
                )}
                {row.getVisibleCells().map((cell) => (
                  <td key={cell.id}>
                    <table.FlexRender cell={cell} />
                  </td>
                ))}
              </tr>
            );
          })}
          <Spacer heightPx={bottomPx} width={width} />
        </tbody>
      </table>
      {rows.length === 0 && note === undefined && <div className="table-note">{empty ?? "There is nothing."}</div>}
      {note !== undefined && <div className="table-note">{note}</div>}
    </section>
  );
}

/** Takes the place of rows that are not in the page. */
function Spacer({ heightPx, width }: { readonly heightPx: number; readonly width: number }) {
  if (heightPx <= 0) return null;
  return (
    // biome-ignore lint/a11y/noAriaHiddenOnFocusable: there is nothing in it that could have the focus.
    <tr className="spacer" aria-hidden="true">
      <td colSpan={width} style={{ height: heightPx }} />
    </tr>
  );
}

/** Whether a click was for something in the row that does something by itself. */
function isOfItself(target: EventTarget): boolean {
  return target instanceof Element && target.closest("a, button, input, label, [role=menuitem]") !== null;
}
