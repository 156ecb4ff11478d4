/** `bmaas agents register` */
import { Command } from "commander";
import { AgentService, RegisterAgentResponseSchema } from "../../../gen/bmaas/admin/v1/agent_service_pb.js";
import { machineIdArgument } from "../operator/arguments.ts";
import { addOperatorOptions, type OperatorFlags, operate } from "../operator/operate.ts";
import { print, printMessage } from "../operator/output.ts";
import { addKey, type KeyFlags, readKey } from "./public-key.ts";

/** Creates the command `bmaas agents register`. */
export function registerCommand(): Command {
  const command = addKey(
    new Command("register")
      .description("register the agent's public key of a machine that has none")
      .argument("<machine-id>", "the machine", machineIdArgument),
  ).action(
    operate(
      async (
        operator,
        { json, ...flags }: OperatorFlags & KeyFlags,
        machineId: string,
        key: Uint8Array | undefined,
      ) => {
        const publicKey = await readKey(key, flags);
        const response = await operator.client(AgentService).registerAgent({ machineId, publicKey });
        if (json) printMessage(RegisterAgentResponseSchema, response);
        else print(`${machineId}  agent registered`);
      },
    ),
  );
  return addOperatorOptions(command, {
    examples: ['bmaas agents register 4b9f3a52-2f0c-4a53-9d0e-6f1f3f1f9c11 "$(bmaas agent keygen --out agent.pem)"'],
    more: ["\nWith --json: one RegisterAgentResponse of bmaas.admin.v1."],
  });
}
