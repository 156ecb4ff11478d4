/** The authenticated caller of a call. */
import { Code, ConnectError, createContextKey, type HandlerContext } from "@connectrpc/connect";
import type { AdminRole } from "../../db/queries/admin-token.ts";

/** Owner of credentials. */
export interface Identity {
  /** Name in the history "token:" and the token's name, or "oidc:" and the subject. */
  readonly actor: string;
  /** Undefined for an authenticated caller who may do nothing here. */
  readonly role: AdminRole | undefined;
}

/** A caller who may make the current call. */
export interface Caller extends Identity {
  readonly role: AdminRole;
}

/** Context key under which the authorization stores the caller for handlers. */
export const callerKey = createContextKey<Caller | undefined>(undefined, { description: "caller of an admin method" });

/** Returns the caller. Throws `internal` if the call was not authorized. */
export function getCaller({ values }: Pick<HandlerContext, "values">): Caller {
  const caller = values.get(callerKey);
  if (caller === undefined) throw new ConnectError("no caller was established for this call", Code.Internal);
  return caller;
}

/** Returns the actor under which the history records changes of this call. */
export function getActor(context: Pick<HandlerContext, "values">): string {
  return getCaller(context).actor;
}
