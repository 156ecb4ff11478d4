/** The handler of TokenService.CreateToken. */
import { create } from "@bufbuild/protobuf";
import type { Timestamp } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, type HandlerContext } from "@connectrpc/connect";
import type { Role } from "../../../gen/bmaas/admin/v1/role_pb.js";
import {
  type CreateTokenRequest,
  type CreateTokenResponse,
  CreateTokenResponseSchema,
} from "../../../gen/bmaas/admin/v1/token_service_pb.js";
import { type AdminRole, holdAdminTokens, insertAdminToken } from "../../db/queries/admin-token.ts";
import { requestIdKey } from "../../rpc/calls/call-watch.ts";
import { badRequest, errorInfo } from "../../rpc/wire/error-details.ts";
import type { AdminContext } from "../admin-context.ts";
import { answerOnce } from "../answer-once.ts";
import { bootstrapName } from "../authorization/bootstrap-token.ts";
import { getActor } from "../authorization/caller.ts";
import { createSecret } from "../authorization/token-secret.ts";
import { roles, toToken } from "./to-token.ts";

/**
 * Creates the handler of TokenService.CreateToken. Only the first answer has the secret; the answer stored for a
 * repeated call does not.
 */
export function createCreateToken(context: Pick<AdminContext, "db" | "log">) {
  return async (request: CreateTokenRequest, call: HandlerContext): Promise<CreateTokenResponse> => {
    if (request.name === bootstrapName) throw nameReserved();
    const role = toRole(request.role);
    const { id, secret, hash } = createSecret();
    const { token } = await answerOnce(context, call, request, CreateTokenResponseSchema, async (tx, actor) => {
      await holdAdminTokens(tx);
      const row = await insertAdminToken(tx, {
        id,
        name: request.name,
        role,
        secretHash: hash,
        createdBy: actor,
        expiresAt: request.expireTime && toExpiry(request.expireTime),
      });
      return create(CreateTokenResponseSchema, { token: toToken(row) });
    });
    if (token?.id !== id) throw madeBefore(token?.id ?? "");
    const actor = getActor(call);
    const requestId = call.values.get(requestIdKey);
    context.log.info({ tokenId: id, name: request.name, role, actor, requestId }, "a token was created");
    return create(CreateTokenResponseSchema, { token, secret });
  };
}

/** Rounds down to a millisecond, so that no token is valid longer than requested or beyond the year 9999. */
function toExpiry({ seconds, nanos }: Timestamp): Date {
  return new Date(Number(seconds) * 1000 + Math.floor(nanos / 1_000_000));
}

/** Converts the role. Validation has refused values that the contract does not define. */
function toRole(wanted: Role): AdminRole {
  const found = (Object.keys(roles) as AdminRole[]).find((role) => roles[role] === wanted);
  if (found === undefined) throw new ConnectError("role: is unknown", Code.InvalidArgument);
  return found;
}

function nameReserved(): ConnectError {
  const description = "is reserved for the server: choose another one";
  return new ConnectError(`name: ${description}`, Code.InvalidArgument, undefined, [
    badRequest([{ field: "name", description, reason: "NAME_RESERVED" }]),
  ]);
}

/** Returns the error for a call that repeats an earlier request id, whose secret cannot be shown again. */
export function madeBefore(tokenId: string): ConnectError {
  return new ConnectError(
    `token ${tokenId} was already created under this request id, and its secret cannot be shown again: ` +
      "if the secret is lost, revoke that token and create another one",
    Code.AlreadyExists,
    undefined,
    [errorInfo("TOKEN_MADE_BEFORE", { token_id: tokenId })],
  );
}
