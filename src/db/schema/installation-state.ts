/** The view that alone decides the state of an installation: one row for every request, open or ended. */
import { sql } from "drizzle-orm";
import { bigint, boolean, pgView, text, uuid } from "drizzle-orm/pg-core";
import { timestamptz } from "./columns.ts";
import { isOpen } from "./os-installation-request.ts";

/** States of an installation, open ones first. */
const installationStates = [
  "pending",
  "given",
  "installing",
  "overdue",
  "succeeded",
  "failed",
  "cancelled",
  "superseded",
] as const;

export const installationState = pgView("installation_state", {
  machineId: uuid("machine_id").notNull(),
  generation: bigint("generation", { mode: "bigint" }).notNull(),
  state: text("state", { enum: installationStates }).notNull(),
  /** When the installation entered this state. */
  since: timestamptz("since").notNull(),
  /**
   * Neither finished nor cancelled nor superseded. A machine has one open installation at most, found by a partial
   * index.
   */
  isOpen: boolean("is_open").notNull(),
}).as(sql`
select request.machine_id, request.generation,
       case when request.result = 'success' then 'succeeded'
            when request.result = 'error' then 'failed'
            when request.cancelled_at is not null then 'cancelled'
            when request.superseded_at is not null then 'superseded'
            when request.first_given_at is null then 'pending'
            when request.due_at < now() then 'overdue'
            when request.started_at is not null then 'installing'
            else 'given' end as state,
       case when request.finished_at is not null then request.finished_at
            when request.cancelled_at is not null then request.cancelled_at
            when request.superseded_at is not null then request.superseded_at
            when request.first_given_at is null then request.requested_at
            when request.due_at < now() then request.due_at
            when request.started_at is not null then request.started_at
            else request.first_given_at end as since,
       ${sql.raw(isOpen("request"))} as is_open
  from os_installation_request request`);
