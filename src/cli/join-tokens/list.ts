/** `bmaas join-tokens list` */
import { create } from "@bufbuild/protobuf";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import { Command } from "commander";
import {
  type JoinToken,
  JoinTokenService,
  ListJoinTokensResponseSchema,
} from "../../../gen/bmaas/admin/v1/join_token_service_pb.js";
import { listPages } from "../operator/list-pages.ts";
import { showLabels } from "../operator/machine-text.ts";
import { addOperatorOptions, type OperatorFlags, operate } from "../operator/operate.ts";
import { type Cell, note, printMessage, printTable } from "../operator/output.ts";
import { ageOf } from "../operator/timestamp-text.ts";

interface ListFlags extends OperatorFlags {
  readonly all?: boolean;
}

const header = ["ID", "USED", "APPROVAL", "PROVIDER", "LOCATION", "LABELS", "CREATED", "BY", "ENDS"];

/** Creates the command `bmaas join-tokens list`. */
export function listCommand(): Command {
  const command = new Command("list")
    .description("list join tokens, newest first, without their secrets")
    .option("--all", "also list those that are revoked, expired or used up")
    .action(
      operate(async (operator, { all: showEnded = false, json }: ListFlags) => {
        const client = operator.client(JoinTokenService);
        const tokens = await listPages(
          (page) => client.listJoinTokens({ showEnded, ...page }),
          (answer) => answer.tokens,
        );
        if (json) return printMessage(ListJoinTokensResponseSchema, create(ListJoinTokensResponseSchema, { tokens }));
        if (tokens.length > 0) printTable(header, tokens.map(toRow));
        else
          note(
            showEnded
              ? "there are no join tokens"
              : "no join token is valid now; --all also lists those that have ended",
          );
      }),
    );
  return addOperatorOptions(command, {
    examples: ["bmaas join-tokens list --all"],
    more: ["\nWith --json: one ListJoinTokensResponse of bmaas.admin.v1."],
  });
}

function toRow(token: JoinToken): Cell[] {
  return [
    token.id,
    `${token.uses} of ${token.maxUses}`,
    token.requiresApproval ? "required" : "none",
    token.provider || "-",
    token.location || "-",
    showLabels(token.labels) || "-",
    ageOf(token.createTime),
    token.creator,
    showEnd(token),
  ];
}

function showEnd({ expireTime, revokeTime, uses, maxUses }: JoinToken): Cell {
  if (revokeTime !== undefined) return { text: `revoked ${ageOf(revokeTime)}`, style: "dim" };
  const hasExpired = expireTime !== undefined && timestampMs(expireTime) <= Date.now();
  if (hasExpired) return { text: `expired ${ageOf(expireTime)}`, style: "dim" };
  return uses >= maxUses ? { text: "used up", style: "dim" } : ageOf(expireTime);
}
