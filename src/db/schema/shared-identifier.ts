/**
 * The identifiers that two or more machines have at this moment, once for each of these machines.
 *
 * Two machines that store their reports at the same time do not see one another's identifiers. So each machine whose
 * identifiers changed is noted in uncompared_machine, and src/db/identifier-upkeep.ts compares it afterwards and sets
 * is_shared on its identifiers and on those of the other machines. Of two machines, the one that changed last is still
 * to be compared or carries the mark. So the view misses no pair, and lists both once they are compared, in seconds.
 * The mark only says where to look: the view looks for the other machine itself. It reads the marked identifiers by
 * their index, and those of the machines yet to be compared, and never the whole table.
 */
import { sql } from "drizzle-orm";
import { pgView, text, uuid } from "drizzle-orm/pg-core";
import { identifierKinds } from "../../contract/identifiers.ts";
import { timestamptz } from "./columns.ts";

/** The query of the view, which other views contain, so that a migration can replace either. */
export const selectSharedIdentifiers = `
select held.machine_id, held.kind, held.value, held.shown, held.part, other.machine_id as other_machine_id,
       greatest(held.since, other.since) as since
  from (
    select machine_id, kind, value, scope, shown, part, since
      from machine_identifier where is_shared and gone_at is null
    union all
    select changed.machine_id, kind, value, scope, shown, part, since
      from uncompared_machine changed
      join machine_identifier identifier on identifier.machine_id = changed.machine_id
     where gone_at is null and not is_shared
  ) held
 cross join lateral (
    select machine_id, since from machine_identifier other
     where other.value = held.value and other.kind = held.kind and other.scope = held.scope
       and other.gone_at is null and other.machine_id <> held.machine_id
     order by machine_id limit 1
  ) other`;

/** Selects what the view looks at: a superset of its machines and kinds. */
export const selectShareCandidates = `
select machine_id, kind from machine_identifier where is_shared and gone_at is null
union all
select changed.machine_id, identifier.kind
  from uncompared_machine changed join machine_identifier identifier on identifier.machine_id = changed.machine_id
 where gone_at is null`;

export const sharedIdentifier = pgView("shared_identifier", {
  machineId: uuid().notNull(),
  kind: text({ enum: identifierKinds }).notNull(),
  value: text().notNull(),
  shown: text().notNull(),
  part: text().notNull(),
  /** Another machine that has it, the one with the lowest id. */
  otherMachineId: uuid().notNull(),
  /** Since when both have it. */
  since: timestamptz().notNull(),
}).as(sql.raw(selectSharedIdentifiers));
