/** Converts join tokens from the database to messages for operators, which never contain the secret. */
import { create } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { type JoinToken, JoinTokenSchema } from "../../../gen/bmaas/admin/v1/join_token_service_pb.js";
import type { JoinTokenRow } from "../../db/queries/join-token.ts";

/** Converts one join token. */
export function toJoinToken(row: JoinTokenRow): JoinToken {
  return create(JoinTokenSchema, {
    id: row.id,
    maxUses: row.maxUses,
    uses: row.uses,
    requiresApproval: row.requiresApproval,
    onlyExpected: row.onlyExpected,
    provider: row.provider ?? "",
    location: row.location ?? "",
    labels: row.labels,
    createTime: timestampFromDate(row.createdAt),
    creator: row.createdBy,
    expireTime: timestampFromDate(row.expiresAt),
    revoker: row.revokedBy ?? "",
    ...(row.revokedAt && { revokeTime: timestampFromDate(row.revokedAt) }),
  });
}
