/** The handler of JoinTokenService.ListJoinTokens. */
import { create } from "@bufbuild/protobuf";
import {
  type ListJoinTokensRequest,
  type ListJoinTokensResponse,
  ListJoinTokensResponseSchema,
} from "../../../gen/bmaas/admin/v1/join_token_service_pb.js";
import { listJoinTokens } from "../../db/queries/join-token.ts";
import type { AdminContext } from "../admin-context.ts";
import { decodePageToken, encodePageToken } from "../page-token.ts";
import { parseKey } from "../token/list-tokens.ts";
import { toJoinToken } from "./to-join-token.ts";

const defaultPageSize = 50;

/** Creates the handler of JoinTokenService.ListJoinTokens. */
export function createListJoinTokens({ db }: Pick<AdminContext, "db">) {
  return async ({ showEnded, pageSize, pageToken }: ListJoinTokensRequest): Promise<ListJoinTokensResponse> => {
    const scope = ["join-tokens", String(showEnded)];
    const limit = pageSize || defaultPageSize;
    // One more than the page holds tells whether more follow.
    const rows = await listJoinTokens(db, {
      showEnded,
      after: decodePageToken(scope, pageToken, parseKey),
      limit: limit + 1,
    });
    const page = rows.slice(0, limit);
    const last = rows.length > limit ? page.at(-1) : undefined;
    return create(ListJoinTokensResponseSchema, {
      tokens: page.map(toJoinToken),
      nextPageToken: last === undefined ? "" : encodePageToken(scope, [last.id]),
    });
  };
}
