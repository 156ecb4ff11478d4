/** The cursor of a table, which keys move and act on. */
import { useMemo, useState } from "react";

/** Where the cursor is. */
export interface Cursor {
  /** Index of its row; -1 while it is on none. */
  readonly cursor: number;
  /** Index at which its row was last; the row after it stands there once it is gone. */
  readonly place: number;
  readonly setCursor: (index: number) => void;
}

/** Returns the cursor, which stays on its row when others come before it or go. */
export function useCursor(rows: readonly { readonly id: string }[]): Cursor {
  const [last, setLast] = useState<{ readonly id?: string | undefined; readonly place: number }>({ place: 0 });
  const cursor = useMemo(() => {
    if (last.id === undefined) return -1;
    return rows[last.place]?.id === last.id ? last.place : rows.findIndex(({ id }) => id === last.id);
  }, [rows, last]);
  if (cursor !== -1 && cursor !== last.place) setLast({ id: last.id, place: cursor });
  return { cursor, place: last.place, setCursor: (index) => setLast({ id: rows[index]?.id, place: index }) };
}
