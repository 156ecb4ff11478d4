/**
 * An agent that installs generation 5 and kills itself, without a chance to tidy up, at one step of what follows:
 * "accepted", "running" or "ended". What follows the installation adds a line to the file `ran`.
 */
import { appendFile, readFile } from "node:fs/promises";
import { join } from "node:path";
import { createAgentClient } from "../../../src/agent/agent-client.ts";
import { generateAgentKey } from "../../../src/agent/agent-key.ts";
import { runAgent } from "../../../src/agent/agent-loop.ts";
import { openInstallState } from "../../../src/agent/install-state.ts";
import { runShellCommand } from "../../../src/agent/shell-command.ts";

const [folder = "", endpoint = "", machineId = "", step = ""] = process.argv.slice(2);
const die = () => process.kill(process.pid, "SIGKILL");
const ran = join(folder, "ran");

await runAgent({
  machineId,
  client: createAgentClient({ endpoint, key: await generateAgentKey(), ca: await readFile(join(folder, "ca.pem")) }),
  state: await openInstallState(join(folder, "state.json"), machineId),
  install: async () => undefined,
  afterInstall: async (signal) => {
    if (step === "running") return await runShellCommand(`echo died >>'${ran}'; kill -KILL ${process.pid}`, { signal });
    await appendFile(ran, "died\n");
    die();
    return undefined;
  },
  intervalMs: 5,
  onEvent: ({ type }) => {
    if (type === "report-accepted" && step === "accepted") die();
  },
  signal: new AbortController().signal,
});
