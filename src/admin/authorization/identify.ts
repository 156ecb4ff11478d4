/** Identification of the holder of a bearer token, for all kinds of tokens. */
import type { Identity } from "./caller.ts";

/** A token that proves no identity. */
export interface RefusedToken {
  /** The reason, for the log and for the caller. It reveals nothing that the caller does not know already. */
  readonly refused: string;
}

/**
 * Identifies the holder of a token. Rejects when the token cannot be checked now, which says nothing about the token.
 */
export type Identify = (bearerToken: string) => Promise<Identity | RefusedToken>;
