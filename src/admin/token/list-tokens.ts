/** TokenService.ListTokens */
import { create } from "@bufbuild/protobuf";
import {
  type ListTokensRequest,
  type ListTokensResponse,
  ListTokensResponseSchema,
} from "../../../gen/bmaas/admin/v1/token_service_pb.js";
import { listAdminTokens } from "../../db/queries/admin-token.ts";
import type { AdminContext } from "../admin-context.ts";
import { isSecretId } from "../authorization/token-secret.ts";
import { decodePageToken, encodePageToken } from "../page-token.ts";
import { toToken } from "./to-token.ts";

const defaultPageSize = 50;

/** Makes the handler. */
export function createListTokens({ db }: Pick<AdminContext, "db">) {
  return async ({ showEnded, pageSize, pageToken }: ListTokensRequest): Promise<ListTokensResponse> => {
    const scope = ["tokens", String(showEnded)];
    const limit = pageSize || defaultPageSize;
    // One more than the page holds tells whether there is a next one.
    const rows = await listAdminTokens(db, {
      showEnded,
      after: decodePageToken(scope, pageToken, parseKey),
      limit: limit + 1,
    });
    const page = rows.slice(0, limit);
    const last = rows.length > limit ? page.at(-1) : undefined;
    return create(ListTokensResponseSchema, {
      tokens: page.map(toToken),
      nextPageToken: last === undefined ? "" : encodePageToken(scope, [last.id]),
    });
  };
}

/** A page ends with a token's id. */
function parseKey([id, ...rest]: readonly string[]): string | undefined {
  return id !== undefined && rest.length === 0 && isSecretId(id) ? id : undefined;
}
