/** The handler of TokenService.ListTokens. */
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

/** Creates the handler of TokenService.ListTokens. */
export function createListTokens({ db }: Pick<AdminContext, "db">) {
  return async ({ showEnded, pageSize, pageToken }: ListTokensRequest): Promise<ListTokensResponse> => {
    const scope = ["tokens", String(showEnded)];
    const limit = pageSize || defaultPageSize;
    // One more than the page holds tells whether more follow.
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

/** Parses the key of a page token: the id of the last token of the previous page. */
export function parseKey([id, ...rest]: readonly string[]): string | undefined {
  return id !== undefined && rest.length === 0 && isSecretId(id) ? id : undefined;
}
