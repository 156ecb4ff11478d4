/** `bmaas tokens create` */
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { Command, Option } from "commander";
import { CreateTokenResponseSchema, TokenService } from "../../../gen/bmaas/admin/v1/token_service_pb.js";
import { printable } from "../../base/printable.ts";
import { lastingArgument } from "../operator/arguments.ts";
import { addOperatorOptions, type OperatorFlags, operate } from "../operator/operate.ts";
import { note, print, printMessage } from "../operator/output.ts";
import { roleNames } from "../operator/state-names.ts";
import { timeOf } from "../operator/timestamp-text.ts";

interface CreateFlags extends OperatorFlags {
  readonly role: string;
  /** Milliseconds from now. */
  readonly expires?: number;
}

/** Creates the command `bmaas tokens create`. */
export function createCommand(): Command {
  const command = new Command("create")
    .description("create a token and print its secret, which is shown only once")
    .argument("<name>", "who will use it; the history records their changes as token:<name>")
    .addOption(new Option("--role <role>", "role of the token").choices(roleNames.names).makeOptionMandatory())
    .option(
      "--expires <duration>",
      "how long it is valid, for example 90d (default: until it is revoked)",
      lastingArgument,
    )
    .action(
      operate(async (operator, { role: roleName, expires, json }: CreateFlags, name: string) => {
        const role = roleNames.find(roleName);
        const response = await operator.client(TokenService).createToken({
          name,
          ...(role && { role }),
          ...(expires !== undefined && { expireTime: timestampFromMs(Date.now() + expires) }),
        });
        if (json) return printMessage(CreateTokenResponseSchema, response);
        // Standard output contains only the secret, for TOKEN=$(bmaas tokens create …).
        const until = timeOf(response.token?.expireTime) ?? "it is revoked";
        note(`created token ${response.token?.id}, valid until ${until}; its secret cannot be shown again:`);
        print(printable(response.secret));
      }),
    );
  return addOperatorOptions(command, {
    examples: [
      "bmaas tokens create alice --role operator --expires 90d",
      "BMAAS_ADMIN_TOKEN=$(bmaas tokens create dashboard --role viewer) bmaas status",
    ],
    more: [
      "\nA viewer reads everything except tokens and secrets. An operator also changes machines, agents and installations," +
        "\ndecides enrolments and manages join tokens. An admin also manages operators' tokens and receivers, and deletes" +
        "\nmachines.\n\nWith --json: one CreateTokenResponse of bmaas.admin.v1.",
    ],
  });
}
