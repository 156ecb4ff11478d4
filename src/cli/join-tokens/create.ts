/** `bmaas join-tokens create` */
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { Command, Option } from "commander";
import { CreateJoinTokenResponseSchema, JoinTokenService } from "../../../gen/bmaas/admin/v1/join_token_service_pb.js";
import { printable } from "../../base/printable.ts";
import { labelArgument, lastingArgument, limitArgument } from "../operator/arguments.ts";
import { addOperatorOptions, type OperatorFlags, operate } from "../operator/operate.ts";
import { note, print, printMessage } from "../operator/output.ts";
import { timeOf } from "../operator/timestamp-text.ts";

interface CreateFlags extends OperatorFlags {
  readonly uses: number;
  /** Milliseconds from now. */
  readonly expires: number;
  readonly requireApproval?: boolean;
  readonly onlyExpected?: boolean;
  readonly provider?: string;
  readonly location?: string;
  readonly label?: Readonly<Record<string, string>>;
}

const defaultExpiresMs = 24 * 60 * 60 * 1000;

/** Creates the command `bmaas join-tokens create`. */
export function createCommand(): Command {
  const command = new Command("create")
    .description("create a join token, which lets agents in, and print its secret, which is shown only once")
    .option("--uses <number>", "how many agents may use it, up to 10000", limitArgument, 1)
    .addOption(
      new Option("--expires <duration>", "how long it is valid, up to 366d")
        .argParser(lastingArgument)
        .default(defaultExpiresMs, "24h"),
    )
    .option("--require-approval", "agents with the token still wait for an operator")
    .option("--only-expected", "let in only agents whose machines are expected; others wait for an operator")
    .option("--provider <name>", "the provider of the machines; each gets its serial number as the provider's id")
    .option("--location <name>", "the location of the machines")
    .option("--label <key=value>", "a label of the machines; repeat for more", labelArgument)
    .action(
      operate(async (operator, flags: CreateFlags) => {
        const { onlyExpected = false } = flags;
        const { uses: maxUses, expires, requireApproval = false, provider = "", location = "", label = {} } = flags;
        const response = await operator.client(JoinTokenService).createJoinToken({
          ...{ maxUses, provider, location, labels: label, requiresApproval: requireApproval, onlyExpected },
          expireTime: timestampFromMs(Date.now() + expires),
        });
        if (flags.json) return printMessage(CreateJoinTokenResponseSchema, response);
        const agents = maxUses === 1 ? "one agent" : `${maxUses} agents`;
        const until = timeOf(response.token?.expireTime) ?? "";
        // Standard output contains only the secret, for bmaas join-tokens create > join.token.
        note(
          `created join token ${response.token?.id} for ${agents}, valid until ${until}; its secret cannot be shown again:`,
        );
        print(printable(response.secret));
      }),
    );
  return addOperatorOptions(command, {
    examples: [
      "bmaas join-tokens create > join.token",
      "bmaas join-tokens create --uses 40 --expires 7d --provider lab --location basement --label rack=r3 > join.token",
    ],
    more: [
      "\nAn agent whose machine resembles a known one waits for an operator, unless BMAAS_REENROL of the server is token" +
        "\nand it is exactly that machine." +
        "\n\nWith --json: one CreateJoinTokenResponse of bmaas.admin.v1.",
    ],
  });
}
