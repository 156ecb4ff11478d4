/** Converts tokens from the database to messages for operators, which never contain the secret. */
import { create } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { Role } from "../../../gen/bmaas/admin/v1/role_pb.js";
import { type Token, TokenSchema } from "../../../gen/bmaas/admin/v1/token_service_pb.js";
import type { AdminRole, AdminTokenRow } from "../../db/queries/admin-token.ts";

/** Roles of the contract, by their names in the database. */
export const roles: Readonly<Record<AdminRole, Role>> = {
  viewer: Role.VIEWER,
  operator: Role.OPERATOR,
  admin: Role.ADMIN,
};

/** Converts one token. */
export function toToken(row: AdminTokenRow): Token {
  return create(TokenSchema, {
    id: row.id,
    name: row.name,
    role: roles[row.role],
    createTime: timestampFromDate(row.createdAt),
    creator: row.createdBy,
    revoker: row.revokedBy ?? "",
    ...(row.expiresAt && { expireTime: timestampFromDate(row.expiresAt) }),
    ...(row.revokedAt && { revokeTime: timestampFromDate(row.revokedAt) }),
  });
}
