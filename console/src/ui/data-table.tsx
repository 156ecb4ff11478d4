/**
 * The table of every list: TanStack Table for the columns, and TanStack Virtual so that only the rows that can be seen
 * are in the page. `j` and `k` move a cursor, Enter opens the row under it, and `x` selects it.
 *
 * Scrolling renders the rows that come into view, and nothing else of the page.
 */
import {
  type ColumnDef,
  columnVisibilityFeature,
  type ReactTable,
  type RowData,
  type Row as RowOfTable,
  tableFeatures,
  useTable,
} from "@tanstack/react-table";
import { useVirtualizer } from "@tanstack/react-virtual";
import {
  memo,
  type ReactNode,
  useCallback,
  useEffect,
  useEffectEvent,
  useInsertionEffect,
  useMemo,
  useRef,
  useState,
} from "react";
import { type KeyAction, useKeys } from "./keyboard.tsx";
import { useCursor } from "./use-cursor.ts";

/** What all tables can do. Columns are made with `createColumnHelper<TableAbilities, Row>()`. */
export const tableAbilities = tableFeatures({ columnVisibilityFeature });
/** Type of `tableAbilities`. */
export type TableAbilities = typeof tableAbilities;

/** Height of a row in pixels, as styles/table.css makes it. */
const rowHeightPx = 32;
/** Rows beyond the visible ones that are in the page, so that fast scrolling shows no gap. */
const overscan = 10;
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
  /**
   * Whether each row is one line, as in a list of very many rows and columns, which scrolls sideways. Rows of other
   * lists wrap, and their cells stand below each other where the list is narrow.
   */
  readonly isSingleLine?: boolean;
  /** Stands under the last row, such as "Loading…". */
  readonly note?: ReactNode;
  /** What to show when there are no rows. */
  readonly empty?: ReactNode;
}

/** Shows rows. It is as tall as its container lets it be, and scrolls by itself. */
export function DataTable<Row extends RowData>(props: DataTableProps<Row>) {
  const { caption, columns, hiddenColumns = [], rows, getRowId, totalRows, selection, note, empty } = props;
  const { isSingleLine = false } = props;
  // A state and no ref: rows that are there at once are shown only when they are rendered again with the frame.
  const [frame, setFrame] = useState<HTMLElement | null>(null);
  const hidden = hiddenColumns.join(" ");
  const columnVisibility = useMemo(() => Object.fromEntries(hidden.split(" ").map((id) => [id, false])), [hidden]);
  const table = useTable({
    features: tableAbilities,
    columns,
    data: rows as Row[],
    getRowId,
    state: { columnVisibility },
  });
  const headers = table.getHeaderGroups();
  return (
    <section
      className={isSingleLine ? "table-frame" : "table-frame wraps"}
      ref={setFrame}
      aria-label={caption}
      // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by the keyboard.
      tabIndex={0}
    >
      <table className="data-table" aria-rowcount={(totalRows ?? rows.length) + 1}>
        <caption className="visually-hidden">{caption}</caption>
        <thead>
          {headers.map((group) => (
            <tr key={group.id} aria-rowindex={1}>
              {selection !== undefined && (
                <th scope="col" className="pick">
                  <Pick
                    name="Select all rows that are loaded"
                    isOn={areAll(rows, selection.ids, getRowId)}
                    isPartly={selection.ids.size > 0}
                    onChange={(isOn) => selection.onChange(new Set(isOn ? rows.map((row) => getRowId(row)) : []))}
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
        <Body {...props} table={table} frame={frame} />
      </table>
      {rows.length === 0 && note === undefined && <div className="table-note">{empty ?? "There is nothing."}</div>}
      {note !== undefined && <div className="table-note">{note}</div>}
    </section>
  );
}

function areAll<Row>(rows: readonly Row[], ids: ReadonlySet<string>, getRowId: (row: Row) => string): boolean {
  return rows.length > 0 && ids.size >= rows.length && rows.every((row) => ids.has(getRowId(row)));
}

/** Shows the rows that can be seen. */
function Body<Row extends RowData>(
  props: DataTableProps<Row> & {
    readonly table: ReactTable<TableAbilities, Row>;
    readonly frame: HTMLElement | null;
  },
) {
  const { rows, getRowId, onOpen, selection, table, frame, isReading = false, isSingleLine = false } = props;
  const tableRows = table.getRowModel().rows;
  const { cursor, place, setCursor } = useCursor(tableRows);
  // What was measured goes with its row when others come before it.
  const getItemKey = useCallback((index: number) => tableRows[index]?.id ?? index, [tableRows]);
  const virtualizer = useVirtualizer({
    count: tableRows.length,
    getScrollElement: () => frame,
    estimateSize: () => rowHeightPx,
    ...(!isSingleLine && { getItemKey }),
    overscan,
    // A frame of the browser need not wait for the rows that come into view: they are rendered beside it.
    useFlushSync: false,
  });
  const items = virtualizer.getVirtualItems();
  const lastShown = items.at(-1)?.index ?? -1;
  const reachEnd = useEffectEvent(() => props.onReachEnd?.());
  const isNearEnd = tableRows.length > 0 && lastShown >= tableRows.length - loadAhead;
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
  const isMeant = () => frame !== null && frame === findMeantFrame();
  const keys: readonly KeyAction[] = [
    { key: "j", description: "next row", run: () => move(cursor === -1 ? place : cursor + 1) },
    { key: "k", description: "previous row", run: () => move(place - 1) },
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
  ];
  useKeys(keys.map((key) => ({ ...key, isMeant })));
  const events = useLasting<RowEvents>({
    onClick: (index, target) => {
      setCursor(index);
      const row = rows[index];
      if (row !== undefined && onOpen !== undefined && !isOfItself(target) && !isMarked(target)) onOpen(row);
    },
    onToggle: toggle,
  });

  const columns = table.getVisibleLeafColumns();
  const width = columns.length + (selection === undefined ? 0 : 1);
  const topPx = items[0]?.start ?? 0;
  const bottomPx = virtualizer.getTotalSize() - (items.at(-1)?.end ?? 0);
  return (
    <tbody>
      <Spacer heightPx={topPx} width={width} />
      {items.map(({ index }) => {
        const row = tableRows[index];
        if (row === undefined) return null;
        return (
          <TableRow
            key={row.id}
            index={index}
            row={row}
            original={row.original}
            columns={columns}
            isAtCursor={index === cursor}
            isSelected={selection?.ids.has(row.id)}
            events={events}
            table={table}
            measure={isSingleLine ? undefined : virtualizer.measureElement}
          />
        );
      })}
      <Spacer heightPx={bottomPx} width={width} />
    </tbody>
  );
}

/** What a row hands on to its table. */
interface RowEvents {
  readonly onClick: (index: number, target: EventTarget) => void;
  readonly onToggle: (id: string) => void;
}

interface TableRowProps<Row extends RowData> {
  readonly index: number;
  readonly row: RowOfTable<TableAbilities, Row>;
  /** What the row shows. It is another one when something has changed; `row` is another one for any change. */
  readonly original: Row;
  /** The columns that are shown. */
  readonly columns: readonly unknown[];
  readonly isAtCursor: boolean;
  /** Undefined where rows cannot be selected. */
  readonly isSelected: boolean | undefined;
  readonly events: RowEvents;
  readonly table: ReactTable<TableAbilities, Row>;
  /** Is given the element, of which the height is not known; undefined where it is. */
  readonly measure: ((element: HTMLElement | null) => void) | undefined;
}

/** Shows a row. It is rendered again only when something in it has changed. */
const TableRow = memo(
  RenderedRow,
  (former, next) =>
    former.original === next.original &&
    former.index === next.index &&
    former.columns === next.columns &&
    former.isAtCursor === next.isAtCursor &&
    former.isSelected === next.isSelected,
) as typeof RenderedRow;

function RenderedRow<Row extends RowData>(props: TableRowProps<Row>) {
  const { index, row, isAtCursor, isSelected, events, table, measure } = props;
  return (
    <tr
      ref={measure}
      data-index={index}
      aria-rowindex={index + 2}
      aria-selected={isSelected}
      className={isAtCursor ? "cursor" : undefined}
      onClick={(event) => events.onClick(index, event.target)}
    >
      {isSelected !== undefined && (
        <td className="pick">
          <Pick name={`Select ${row.id}`} isOn={isSelected} onChange={() => events.onToggle(row.id)} />
        </td>
      )}
      {row.getVisibleCells().map((cell) => (
        <td key={cell.id} data-column={measure && cell.column.columnDef.header}>
          <table.FlexRender cell={cell} />
        </td>
      ))}
    </tr>
  );
}

/** A checkbox that fills its cell. `isPartly` shows that some of what it stands for is selected, unless all is. */
function Pick(props: {
  readonly name: string;
  readonly isOn: boolean;
  readonly isPartly?: boolean;
  readonly onChange: (isOn: boolean) => void;
}) {
  const { name, isOn, isPartly = false, onChange } = props;
  const markPartly = (box: HTMLInputElement | null) => {
    if (box !== null) box.indeterminate = isPartly && !isOn;
  };
  return (
    <label>
      <input
        ref={markPartly}
        type="checkbox"
        aria-label={name}
        checked={isOn}
        onChange={(event) => onChange(event.target.checked)}
      />
    </label>
  );
}

/** Returns functions that stay the same ones, and do what those of the last rendering do. */
function useLasting<Functions extends { readonly [Name in keyof Functions]: (...args: never[]) => void }>(
  functions: Functions,
): Functions {
  const newest = useRef(functions);
  useInsertionEffect(() => {
    newest.current = functions;
  });
  const [lasting] = useState(() => {
    const names = Object.keys(functions) as (keyof Functions)[];
    const call =
      (name: keyof Functions) =>
      (...args: never[]) =>
        newest.current[name](...args);
    return Object.fromEntries(names.map((name) => [name, call(name)])) as unknown as Functions;
  });
  return lasting;
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

/** Returns the frame of the table that keys act on: the one with the focus, or the first one. */
function findMeantFrame(): Element | null {
  return document.activeElement?.closest(".table-frame") ?? document.querySelector("main .table-frame");
}

/** Whether what was clicked on was just marked, to copy it: a click by itself lets go of what is marked. */
function isMarked(target: EventTarget): boolean {
  const marked = getSelection();
  return marked?.isCollapsed === false && target instanceof Node && marked.containsNode(target, true);
}

/** Whether a click was for something in the row that does something by itself. */
function isOfItself(target: EventTarget): boolean {
  return target instanceof Element && target.closest("a, button, input, label, [role=menuitem]") !== null;
}
