/** The handler of TokenService.RevokeToken. */
import { create } from "@bufbuild/protobuf";
import type { HandlerContext } from "@connectrpc/connect";
import {
  type RevokeTokenRequest,
  type RevokeTokenResponse,
  RevokeTokenResponseSchema,
} from "../../../gen/bmaas/admin/v1/token_service_pb.js";
import { holdAdminTokens, revokeAdminToken } from "../../db/queries/admin-token.ts";
import { transact } from "../../db/transact.ts";
import { requestIdKey } from "../../rpc/calls/call-watch.ts";
import type { AdminContext } from "../admin-context.ts";
import { getActor } from "../authorization/caller.ts";
import { toToken } from "./to-token.ts";

/** Creates the handler of TokenService.RevokeToken. */
export function createRevokeToken({ db, log }: Pick<AdminContext, "db" | "log">) {
  return async ({ tokenId, force }: RevokeTokenRequest, call: HandlerContext): Promise<RevokeTokenResponse> => {
    const actor = getActor(call);
    const { token, isNew } = await transact(db, async (tx) => {
      await holdAdminTokens(tx);
      return await revokeAdminToken(tx, { id: tokenId, revokedBy: actor, force });
    });
    if (isNew) {
      const requestId = call.values.get(requestIdKey);
      log.info({ tokenId, name: token.name, role: token.role, actor, requestId }, "a token was revoked");
    }
    return create(RevokeTokenResponseSchema, { token: toToken(token) });
  };
}
