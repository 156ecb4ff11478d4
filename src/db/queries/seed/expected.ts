/** Sets the tags Expected of a seed in groups, since the program normalizes the identifiers in them. */
import { sql } from "drizzle-orm";
import type { Expected } from "../../../contract/expected.ts";
import type { Transaction } from "../../client.ts";
import { arrayParameter } from "../array-parameter.ts";
import { setExpected } from "../expected.ts";

/** Number of machines that are written at once. */
const machinesAtOnce = 2_000;

/** Sets the tags of the machines whose `expect` is staged, in id order, and notes the outcomes. */
export async function writeSeedExpected(tx: Transaction, actor: string): Promise<void> {
  await tx.execute("create index seed_row_expect on seed_row (machine_id) where expect is not null");
  type Row = { index: number; machine_id: string; expect: string };
  for (let last: string | null = null; ; ) {
    const { rows }: { rows: Row[] } = await tx.execute<Row>(sql`
      select index, machine_id, expect from seed_row
       where expect is not null and (${last}::uuid is null or machine_id > ${last}::uuid)
       order by machine_id limit ${machinesAtOnce}`);
    if (rows.length === 0) return;
    const changes = rows.map((row) => ({
      machineId: row.machine_id,
      expected: JSON.parse(row.expect) as Expected | null,
    }));
    const outcomes = await setExpected(tx, changes, actor);
    await tx.execute(sql`
      insert into seed_expected select * from unnest(
        ${arrayParameter(
          rows.map(({ index }) => index),
          "integer",
        )},
        ${arrayParameter(
          rows.map((row) => outcomes.get(row.machine_id) ?? "unchanged"),
          "text",
        )})`);
    last = rows.at(-1)?.machine_id ?? null;
  }
}
