/**
 * An agent to be killed in mid-install: records the attempt at generation 7, prints "installing", and runs an installer
 * that hangs. The boot id is optional.
 */
import { create } from "@bufbuild/protobuf";
import { OSInstallationRequestSchema } from "../../../gen/cloud/bmaas/server/api/agent_pb.js";
import { openInstallState } from "../../../src/agent/install-state.ts";
import { createCommandInstaller } from "../../../src/agent/installer.ts";

const [file = "", machineId = "", command = "", bootId] = process.argv.slice(2);
const state = await openInstallState(file, machineId);
await state.recordAttempt(7n, "request", bootId);
const install = createCommandInstaller(command, { onLine: (line) => process.stdout.write(`${line}\n`) });
await install(create(OSInstallationRequestSchema, { generation: 7n }), new AbortController().signal, () => {});
