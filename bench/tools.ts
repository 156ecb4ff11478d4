/** Finds the external programs that a run needs. */
import { spawnSync } from "node:child_process";
import { findPgbench } from "./end-to-end/pgbench.ts";
import type { PartName } from "./options.ts";

/** Paths of the programs. */
export interface Tools {
  /** Absent if no part needs it. */
  readonly pgbench?: string | undefined;
}

/** Finds the programs that the parts need. If one is missing, prints what to install and exits the process. */
export async function requireTools(only: ReadonlySet<PartName>): Promise<Tools> {
  const pgbench = only.has("certificates") ? await findPgbench() : undefined;
  const isMissing = (tool: string) => spawnSync(tool, ["--version"]).error !== undefined;
  const missing = [
    ...((only.has("wire") || only.has("garbage")) && isMissing("h2load") ? ["h2load (nghttp2-client)"] : []),
    ...(only.has("wire") && isMissing("wrk") ? ["wrk (wrk)"] : []),
    ...(only.has("certificates") && pgbench === undefined ? ["pgbench (postgresql)"] : []),
  ];
  if (missing.length === 0) return { pgbench };
  process.stderr.write(
    `${missing.join(", ")}: not there. Install it; in parentheses is Debian's package that has it.\n`,
  );
  process.exit(2);
}
