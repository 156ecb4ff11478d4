/** The handler of JoinTokenService.CreateJoinToken. */
import { create } from "@bufbuild/protobuf";
import { type Timestamp, timestampMs, timestampNow } from "@bufbuild/protobuf/wkt";
import type { HandlerContext } from "@connectrpc/connect";
import {
  type CreateJoinTokenRequest,
  type CreateJoinTokenResponse,
  CreateJoinTokenResponseSchema,
} from "../../../gen/bmaas/admin/v1/join_token_service_pb.js";
import { createJoinSecret, insertJoinToken } from "../../db/queries/join-token.ts";
import { requestIdKey } from "../../rpc/calls/call-watch.ts";
import type { AdminContext } from "../admin-context.ts";
import { answerOnce } from "../answer-once.ts";
import { getActor } from "../authorization/caller.ts";
import { readLabels } from "../machine/read-labels.ts";
import { madeBefore } from "../token/create-token.ts";
import { Violations } from "../violations.ts";
import { toJoinToken } from "./to-join-token.ts";

/** Longest time until a join token expires, in milliseconds. */
const maxValidityMs = 366 * 24 * 60 * 60 * 1000;

/**
 * Creates the handler of JoinTokenService.CreateJoinToken. Only the first answer has the secret; the answer stored for
 * a repeated call does not.
 */
export function createCreateJoinToken(context: Pick<AdminContext, "db" | "log">) {
  return async (request: CreateJoinTokenRequest, call: HandlerContext): Promise<CreateJoinTokenResponse> => {
    const { maxUses, requiresApproval, onlyExpected, provider, location, expireTime = timestampNow() } = request;
    checkFields(request);
    readLabels("labels", request.labels);
    const { id, secret, hash: secretHash } = createJoinSecret();
    const { token } = await answerOnce(context, call, request, CreateJoinTokenResponseSchema, async (tx, actor) => {
      const row = await insertJoinToken(tx, {
        ...{ id, secretHash, maxUses, requiresApproval, onlyExpected, labels: request.labels, createdBy: actor },
        ...{ provider: provider || null, location: location || null, expiresAt: toDate(expireTime) },
      });
      return create(CreateJoinTokenResponseSchema, { token: toJoinToken(row) });
    });
    if (token?.id !== id) throw madeBefore(token?.id ?? "");
    const requestId = call.values.get(requestIdKey);
    const actor = getActor(call);
    context.log.info({ tokenId: id, maxUses, requiresApproval, actor, requestId }, "a join token was created");
    return create(CreateJoinTokenResponseSchema, { token, secret });
  };
}

function checkFields({ provider, location, expireTime, requiresApproval, onlyExpected }: CreateJoinTokenRequest): void {
  const violations = new Violations();
  if (location !== "" && provider === "") violations.add("location", "needs a provider: name one");
  if (requiresApproval && onlyExpected) {
    violations.add("only_expected", "contradicts requires_approval, which lets no agent in: keep one of them");
  }
  const endMs = expireTime === undefined ? 0 : timestampMs(expireTime);
  if (endMs > Date.now() + maxValidityMs) violations.add("expire_time", "must be within 366 days from now");
  violations.assertNone();
}

/** Rounds down to a millisecond, so that no token is valid longer than requested. */
function toDate({ seconds, nanos }: Timestamp): Date {
  return new Date(Number(seconds) * 1000 + Math.floor(nanos / 1_000_000));
}
