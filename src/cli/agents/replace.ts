/** `bmaas agents replace` */
import { Command } from "commander";
import { AgentService, ReplaceAgentResponseSchema } from "../../../gen/bmaas/admin/v1/agent_service_pb.js";
import { machineIdArgument } from "../operator/arguments.ts";
import { addOperatorOptions, type OperatorFlags, operate } from "../operator/operate.ts";
import { print, printMessage } from "../operator/output.ts";
import { addKey, type KeyFlags, publicKeyArgument, readKey } from "./public-key.ts";

interface ReplaceFlags extends OperatorFlags, KeyFlags {
  readonly expectedKey?: Uint8Array;
}

/** Creates the command `bmaas agents replace`. */
export function replaceCommand(): Command {
  const command = addKey(
    new Command("replace")
      .description("replace the key of a machine's agent; the old key stops working at once")
      .argument("<machine-id>", "the machine", machineIdArgument),
  )
    .option("--expected-key <key>", "only if this is the machine's key now", publicKeyArgument)
    .action(
      operate(
        async (
          operator,
          { json, expectedKey, ...flags }: ReplaceFlags,
          machineId: string,
          key: Uint8Array | undefined,
        ) => {
          const publicKey = await readKey(key, flags);
          const expected = expectedKey && { expectedPublicKey: expectedKey };
          const response = await operator.client(AgentService).replaceAgent({ machineId, publicKey, ...expected });
          if (json) printMessage(ReplaceAgentResponseSchema, response);
          else print(`${machineId}  agent replaced`);
        },
      ),
    );
  return addOperatorOptions(command, {
    examples: ["bmaas agents replace 4b9f3a52-2f0c-4a53-9d0e-6f1f3f1f9c11 --public-key-file agent.pub"],
    more: ["\nWith --json: one ReplaceAgentResponse of bmaas.admin.v1."],
  });
}
