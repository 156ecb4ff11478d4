/**
 * A process that creates an agent's key in a file and kills itself, without a chance to tidy up, at one step: "write"
 * or "sync", the first one of the kind.
 */
import { open } from "node:fs/promises";
import { generateAgentKey } from "../../../src/agent/agent-key.ts";
import { saveAgentKey } from "../../../src/agent/key-file.ts";

const [file = "", step = ""] = process.argv.slice(2);
const handle = await open("/dev/null");
const methods = Object.getPrototypeOf(handle) as Record<string, unknown>;
await handle.close();
methods[step === "write" ? "writeFile" : "sync"] = () => process.kill(process.pid, "SIGKILL");
await saveAgentKey(file, await generateAgentKey());
