/** The handler of JoinTokenService.RevokeJoinToken. */
import { create } from "@bufbuild/protobuf";
import type { HandlerContext } from "@connectrpc/connect";
import {
  type RevokeJoinTokenRequest,
  type RevokeJoinTokenResponse,
  RevokeJoinTokenResponseSchema,
} from "../../../gen/bmaas/admin/v1/join_token_service_pb.js";
import { revokeJoinToken } from "../../db/queries/join-token.ts";
import { transact } from "../../db/transact.ts";
import { requestIdKey } from "../../rpc/calls/call-watch.ts";
import type { AdminContext } from "../admin-context.ts";
import { getActor } from "../authorization/caller.ts";
import { toJoinToken } from "./to-join-token.ts";

/** Creates the handler of JoinTokenService.RevokeJoinToken. */
export function createRevokeJoinToken({ db, log }: Pick<AdminContext, "db" | "log">) {
  return async ({ tokenId }: RevokeJoinTokenRequest, call: HandlerContext): Promise<RevokeJoinTokenResponse> => {
    const actor = getActor(call);
    const { token, isNew } = await transact(db, (tx) => revokeJoinToken(tx, { id: tokenId, revokedBy: actor }));
    if (isNew) log.info({ tokenId, actor, requestId: call.values.get(requestIdKey) }, "a join token was revoked");
    return create(RevokeJoinTokenResponseSchema, { token: toJoinToken(token) });
  };
}
