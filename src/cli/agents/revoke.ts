/** `bmaas agents revoke` */
import { Command } from "commander";
import { AgentService, RevokeAgentResponseSchema } from "../../../gen/bmaas/admin/v1/agent_service_pb.js";
import { actAndReport, severalHelp } from "../operator/act-on-each.ts";
import { addOperatorOptions, type OperatorFlags, operate } from "../operator/operate.ts";
import { messageToJson } from "../operator/output.ts";
import { selectorHelp } from "../operator/selector.ts";
import { addTargetsToChange, confirm, findTargets, type TargetFlags } from "../operator/targets.ts";
import { publicKeyArgument } from "./public-key.ts";

interface RevokeFlags extends OperatorFlags, TargetFlags {
  readonly expectedKey?: Uint8Array;
}

/** Creates the command `bmaas agents revoke`. */
export function revokeCommand(): Command {
  const command = addTargetsToChange(new Command("revoke"))
    .description("revoke the keys of machines' agents: no agent can call for these machines any more")
    .option("--expected-key <key>", "only if this is the machine's key now", publicKeyArgument)
    .action(
      operate(async (operator, flags: RevokeFlags, machineIds: readonly string[]) => {
        const targets = await findTargets(operator, machineIds, flags);
        await confirm(targets, flags, "Revoke the agents' keys of #?");
        const client = operator.client(AgentService);
        await actAndReport(operator, targets, flags, {
          act: ({ machineId, machine }) => {
            // For a selected machine, the key that it had when it was selected.
            const expectedPublicKey = flags.expectedKey ?? machine?.agent?.publicKey ?? new Uint8Array();
            return client.revokeAgent({ machineId, expectedPublicKey });
          },
          describe: (_response, { machineId }) => `${machineId}  agent revoked`,
          toJson: (response) => messageToJson(RevokeAgentResponseSchema, response),
        });
      }),
    );
  return addOperatorOptions(command, {
    examples: [
      "bmaas agents revoke 4b9f3a52-2f0c-4a53-9d0e-6f1f3f1f9c11",
      "bmaas agents revoke --selector provider=equinix,state=stale",
    ],
    more: [selectorHelp, severalHelp("RevokeAgentResponse")],
  });
}
