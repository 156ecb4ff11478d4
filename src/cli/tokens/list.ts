/** `bmaas tokens list` */
import { create } from "@bufbuild/protobuf";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import { Command } from "commander";
import { ListTokensResponseSchema, type Token, TokenService } from "../../../gen/bmaas/admin/v1/token_service_pb.js";
import { listPages } from "../operator/list-pages.ts";
import { addOperatorOptions, type OperatorFlags, operate } from "../operator/operate.ts";
import { type Cell, note, printMessage, printTable } from "../operator/output.ts";
import { roleNames } from "../operator/state-names.ts";
import { ageOf } from "../operator/timestamp-text.ts";

interface ListFlags extends OperatorFlags {
  readonly all?: boolean;
}

/** Creates the command `bmaas tokens list`. */
export function listCommand(): Command {
  const command = new Command("list")
    .description("list tokens, newest first, without their secrets")
    .option("--all", "also list revoked and expired tokens")
    .action(
      operate(async (operator, { all: showEnded = false, json }: ListFlags) => {
        const client = operator.client(TokenService);
        const tokens = await listPages(
          (page) => client.listTokens({ showEnded, ...page }),
          (answer) => answer.tokens,
        );
        if (json) return printMessage(ListTokensResponseSchema, create(ListTokensResponseSchema, { tokens }));
        if (tokens.length > 0) printTable(["ID", "NAME", "ROLE", "CREATED", "BY", "ENDS"], tokens.map(toRow));
        else note(showEnded ? "there are no tokens" : "no token is valid now; --all also lists those that have ended");
      }),
    );
  return addOperatorOptions(command, {
    examples: ["bmaas tokens list --all"],
    more: ["\nWith --json: one ListTokensResponse of bmaas.admin.v1."],
  });
}

function toRow(token: Token): Cell[] {
  return [token.id, token.name, roleNames.nameOf(token.role), ageOf(token.createTime), token.creator, showEnd(token)];
}

function showEnd({ expireTime, revokeTime }: Token): Cell {
  if (revokeTime !== undefined) return { text: `revoked ${ageOf(revokeTime)}`, style: "dim" };
  if (expireTime === undefined) return "never";
  const hasExpired = timestampMs(expireTime) <= Date.now();
  return hasExpired ? { text: `expired ${ageOf(expireTime)}`, style: "dim" } : ageOf(expireTime);
}
