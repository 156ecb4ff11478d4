/** `bmaas tokens whoami` */
import { Command } from "commander";
import { GetCallerResponseSchema, TokenService } from "../../../gen/bmaas/admin/v1/token_service_pb.js";
import { addOperatorOptions, type OperatorFlags, operate } from "../operator/operate.ts";
import { formatFields, print, printMessage } from "../operator/output.ts";
import { roleNames } from "../operator/state-names.ts";

/** Creates the command `bmaas tokens whoami`. */
export function whoamiCommand(): Command {
  const command = new Command("whoami").description("show who you are to the server, and your role").action(
    operate(async (operator, { json }: OperatorFlags) => {
      const response = await operator.client(TokenService).getCaller({});
      if (json) return printMessage(GetCallerResponseSchema, response);
      const { url, tokenSource } = operator.server;
      print(
        formatFields([
          ["you are", response.actor],
          ["role", roleNames.nameOf(response.role)],
          ["server", url],
          ["token from", tokenSource],
        ]),
      );
    }),
  );
  return addOperatorOptions(command, {
    examples: ["bmaas tokens whoami"],
    more: ["\nWith --json: one GetCallerResponse of bmaas.admin.v1."],
  });
}
