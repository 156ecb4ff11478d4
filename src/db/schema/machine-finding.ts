/**
 * Tag Finding: a hardware report has shown something wrong with this machine.
 *
 * Written by a heartbeat whose report says something else than the one before. Deleted by the next such report that
 * does not show it any more, and with the machine. A difference from an earlier report ends by itself at `until`: from
 * then on, the new state counts as normal.
 */
import { bigint, index, jsonb, pgTable, primaryKey, text, uuid } from "drizzle-orm/pg-core";
import { timestamptz } from "./columns.ts";
import { machine } from "./machine.ts";

export const machineFinding = pgTable(
  "machine_finding",
  {
    machineId: uuid()
      .notNull()
      .references(() => machine.id, { onDelete: "cascade" }),
    /** A type of src/contract/issue-types.ts. */
    type: text().notNull(),
    /** The part that has it, such as a disk; empty for the machine as a whole. */
    target: text().notNull(),
    /** When the first report with it arrived. */
    since: timestamptz().notNull(),
    /** Time at which it ends by itself; null if only another report ends it. */
    until: timestamptz(),
    detail: text().notNull(),
    /** The amount before, for an amount that has become smaller. */
    baseline: bigint({ mode: "bigint" }),
  },
  (table) => [
    primaryKey({ name: "machine_finding_pkey", columns: [table.machineId, table.type, table.target] }),
    // For listing the machines with one type in the order of their ids.
    index("machine_finding_type_machine_id_idx").on(table.type, table.machineId),
  ],
);

/** What a hardware report says about the parts in which findings are looked for. Its texts are printable. */
export interface HardwareFacts {
  /** The machine's serial number, unless it is a placeholder. */
  readonly serial: string | null;
  /** Bytes in decimal digits; "0" if the agent could not tell. */
  readonly memory: string;
  readonly diskCount: number;
  readonly interfaceCount: number;
  /** Disks by name, each with a description and the number of media errors, null if the disk does not count them. */
  readonly disks: Readonly<Record<string, { readonly text: string; readonly errors: string | null }>>;
  /** Interfaces by name, each with a description and whether its link is up. */
  readonly interfaces: Readonly<Record<string, { readonly text: string; readonly up: boolean }>>;
  /** What is wrong in this report alone; no two have the same type and target. */
  readonly findings: readonly { readonly type: string; readonly target: string; readonly detail: string }[];
}

/**
 * What the last hardware report says about the parts in which findings are looked for, for comparing the next one. Its
 * serial number and memory are those of the last report that could tell them.
 */
export const hardwareFacts = pgTable("hardware_facts", {
  machineId: uuid()
    .primaryKey()
    .references(() => machine.id, { onDelete: "cascade" }),
  /** As `HardwareFacts`, and under "digest" the SHA-256 in base64 of the text from which they were stored. */
  facts: jsonb().$type<HardwareFacts>().notNull(),
});

/** Returns the SQL condition that the machine_finding row `finding` counts now. */
export function isFound(finding: string): string {
  return `(${finding}.until is null or ${finding}.until > now())`;
}
