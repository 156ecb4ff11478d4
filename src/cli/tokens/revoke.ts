/** `bmaas tokens revoke` */
import { Command } from "commander";
import { RevokeTokenResponseSchema, TokenService } from "../../../gen/bmaas/admin/v1/token_service_pb.js";
import { printable } from "../../base/printable.ts";
import { readSecretId } from "../../contract/secret-id.ts";
import { addOperatorOptions, type OperatorFlags, operate } from "../operator/operate.ts";
import { print, printMessage } from "../operator/output.ts";
import { confirmQuestion } from "../operator/targets.ts";

interface RevokeFlags extends OperatorFlags {
  readonly force?: boolean;
  readonly yes?: boolean;
}

/** Creates the command `bmaas tokens revoke`. */
export function revokeCommand(): Command {
  const command = new Command("revoke")
    .description("revoke a token at once")
    .argument("<token-id>", "id of the token, from bmaas tokens list")
    .option("--force", "revoke even if no other administrator token remains")
    .option("--yes", "revoke the token that this command itself uses without asking")
    .action(
      operate(async (operator, { force = false, yes = false, json }: RevokeFlags, tokenId: string) => {
        const { token, tokenSource } = operator.server;
        if (readSecretId(token) === tokenId && !yes) {
          const what = `${tokenId} is the token that you use now, from ${tokenSource}`;
          await confirmQuestion(`${what}. Revoke it? You will be refused from then on.`);
        }
        const response = await operator.client(TokenService).revokeToken({ tokenId, force });
        if (json) printMessage(RevokeTokenResponseSchema, response);
        else print(`revoked token ${printable(tokenId)} of ${printable(response.token?.name ?? "")}`);
      }),
    );
  return addOperatorOptions(command, {
    examples: ["bmaas tokens revoke 3f9c2a71d04be856"],
    more: ["\nWith --json: one RevokeTokenResponse of bmaas.admin.v1."],
  });
}
