/** `bmaas join-tokens revoke` */
import { Command } from "commander";
import { JoinTokenService, RevokeJoinTokenResponseSchema } from "../../../gen/bmaas/admin/v1/join_token_service_pb.js";
import { printable } from "../../base/printable.ts";
import { addOperatorOptions, type OperatorFlags, operate } from "../operator/operate.ts";
import { print, printMessage } from "../operator/output.ts";

/** Creates the command `bmaas join-tokens revoke`. */
export function revokeCommand(): Command {
  const command = new Command("revoke")
    .description("revoke a join token at once; agents that it has let in stay")
    .argument("<token-id>", "id of the token, from bmaas join-tokens list")
    .action(
      operate(async (operator, { json }: OperatorFlags, tokenId: string) => {
        const response = await operator.client(JoinTokenService).revokeJoinToken({ tokenId });
        if (json) printMessage(RevokeJoinTokenResponseSchema, response);
        else print(`revoked join token ${printable(tokenId)}, which was used ${countUses(response.token?.uses ?? 0)}`);
      }),
    );
  return addOperatorOptions(command, {
    examples: ["bmaas join-tokens revoke 3f9c2a71d04be856"],
    more: ["\nWith --json: one RevokeJoinTokenResponse of bmaas.admin.v1."],
  });
}

function countUses(uses: number): string {
  return uses === 1 ? "once" : `${uses} times`;
}
