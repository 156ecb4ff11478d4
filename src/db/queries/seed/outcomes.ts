/** The outcomes of a seed for each machine of the file. */
import type { BulkTransaction } from "../../bulk.ts";

const outcomeCode = (isWanted: string, table: string, isCreated: string) =>
  `case when not (${isWanted}) then '-' when ${table}.index is null then 'u' when ${isCreated} then 'c' else 'w' end`;

const query = `
  select seed.index, seed.line, seed.machine_id, coalesce(seed.is_id_made, false),
         case when created.machine_id is null then 'u' else 'c' end
         || ${outcomeCode("seed.provider is not null", "provided", "provided.is_new")}
         || ${outcomeCode("seed.labels is not null", "label", "not label.had_labels")}
         || ${outcomeCode("seed.public_key is not null", "agent", "agent.previous_key is null")}
         || case coalesce(expected.outcome, '-')
              when 'created' then 'c' when 'changed' then 'w' when 'unchanged' then 'u' else '-' end
         || case when install.index is null then '-' when install.is_requested then 'r' else 'u' end,
         install.generation, install.note
    from seed_row seed
    left join seed_created created on created.machine_id = seed.machine_id
    left join seed_provided provided on provided.index = seed.index
    left join (select index, bool_or(had_labels) as had_labels from seed_label group by index) label
           on label.index = seed.index
    left join seed_agent agent on agent.index = seed.index
    left join seed_expected expected on expected.index = seed.index
    left join seed_install install on install.index = seed.index
   order by seed.index`;

/**
 * Has `keep` keep a line for each machine, in the file's order, with seven cells apart by tabs: index; line; id; t if
 * the id was made for it, else f; six letters for machine, provided, labels, agent, expect and install (c created, w
 * changed, u unchanged, r requested, - not in the file); generation; note. `\N` stands for none.
 */
export async function copySeedOutcomes(
  { copyOut }: BulkTransaction,
  keep: (lines: Buffer) => Promise<void>,
): Promise<void> {
  await copyOut(query, keep);
}
