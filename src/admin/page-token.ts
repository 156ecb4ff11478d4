/**
 * Page tokens, which say where a list continues: opaque to callers, bound to the list and its filter, and checked when
 * they come back (AIP-158).
 */
import { createHash } from "node:crypto";
import { Code, ConnectError } from "@connectrpc/connect";
import { badRequest } from "../rpc/wire/error-details.ts";

/**
 * Identifies a list, filters included, so that a token of one list is refused for another. Equal filters must give
 * equal scopes.
 */
export type ListScope = readonly (string | readonly string[])[];

/**
 * How many bytes of the scope's hash a token carries. The hash guards against mistakes; a forged token reveals nothing
 * that the caller may not see.
 */
const scopeHashBytes = 12;
const version = "1";

/** Returns the token that continues after `key`, whose parts must not contain line feeds. */
export function encodePageToken(scope: ListScope, key: readonly string[]): string {
  return Buffer.from([version, hashScope(scope), ...key].join("\n")).toString("base64url");
}

/**
 * Returns the key after which a list of this scope continues, or undefined for an empty token, which means the first
 * page. `parse` gets the key's parts and returns undefined if they are not a key. Throws `invalid_argument` for any
 * other token.
 */
export function decodePageToken<Key>(
  scope: ListScope,
  token: string,
  parse: (key: readonly string[]) => Key | undefined,
): Key | undefined {
  if (token === "") return undefined;
  const bytes = Buffer.from(token, "base64url");
  const [tokenVersion, scopeHash, ...parts] = bytes.toString("utf8").split("\n");
  const key = tokenVersion === version && bytes.toString("base64url") === token ? parse(parts) : undefined;
  if (key === undefined) throw refuse("is not a token of this list: use the next_page_token of the previous page");
  if (scopeHash !== hashScope(scope))
    throw refuse("belongs to a list with another filter: keep the filter from page to page");
  return key;
}

/**
 * Parses a part of a key that is a positive signed 64-bit number in decimal digits. Returns undefined for anything
 * else.
 */
export function parseKeyNumber(text: string | undefined): bigint | undefined {
  if (text === undefined || !/^[1-9][0-9]{0,18}$/.test(text)) return undefined;
  const number = BigInt(text);
  return number < 2n ** 63n ? number : undefined;
}

/** Returns a part of a key that is a UUID in lower case, or undefined for anything else. */
export function parseKeyUuid(text: string | undefined): string | undefined {
  return text !== undefined && /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(text) ? text : undefined;
}

function hashScope(scope: ListScope): string {
  return createHash("sha256").update(JSON.stringify(scope)).digest().subarray(0, scopeHashBytes).toString("base64url");
}

function refuse(description: string): ConnectError {
  return new ConnectError(`page_token ${description}`, Code.InvalidArgument, undefined, [
    badRequest([{ field: "page_token", description }]),
  ]);
}
