/** Finds out who holds a bearer token, whoever issued it. */
import type { Identity } from "./caller.ts";

/** A token that proves nothing. */
export interface RefusedToken {
  /** For the log and for the caller, so it says nothing that the caller does not know already. */
  readonly refused: string;
}

/** Asks one issuer of tokens. Throws when it cannot be asked now: that says nothing of the token. */
export type Identify = (bearerToken: string) => Promise<Identity | RefusedToken>;
