/**
 * `npm run fuzz`: random inputs for every listener of a real server, while good agents and good operators call it.
 * docs/fuzzing.md says what is watched; `--help` lists the options. Ends with 1 when something was wrong, and says what
 * and how to repeat it.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runCampaign } from "./campaign.ts";
import { openFuzzDatabase } from "./fuzz-database.ts";
import { readOptions } from "./options.ts";
import { formatReport } from "./report.ts";

const options = readOptions(process.argv.slice(2));
const say = (line: string) => process.stderr.write(`${line}\n`);
say(`seed ${options.seed}`);
const resources = new AsyncDisposableStack();
let ended: Promise<void> | undefined;
const end = () => {
  ended ??= resources.disposeAsync();
  return ended;
};
const stop = new AbortController();
const leave = (status: number) => void end().finally(() => process.exit(status));
process.once("SIGTERM", () => leave(143));
process.once("SIGINT", () => {
  say("no more inputs begin, and the report follows; Ctrl-C once more ends at once");
  stop.abort();
  process.once("SIGINT", () => leave(130));
});
try {
  const folder = await mkdtemp(join(tmpdir(), "bmaas-fuzz-"));
  resources.defer(() => rm(folder, { recursive: true, force: true }));
  const { url } = resources.use(await openFuzzDatabase(folder, process.env.TEST_DATABASE_URL));
  const result = await runCampaign(options, { folder, databaseUrl: url }, say, stop.signal);
  process.stdout.write(formatReport(options, result));
  process.exitCode = result.faults.length === 0 ? 0 : 1;
} finally {
  await end();
}
