/** Who calls, once it is known. */
import { Code, ConnectError, createContextKey, type HandlerContext } from "@connectrpc/connect";
import type { AdminRole } from "../../db/queries/admin-token.ts";

/** Whom credentials belong to. */
export interface Identity {
  /** As the history names it: "token:" and the token's name, or "oidc:" and the subject. */
  readonly actor: string;
  /** Undefined for somebody who is known and may do nothing here. */
  readonly role: AdminRole | undefined;
}

/** A caller who may make the call that is being made. */
export interface Caller extends Identity {
  readonly role: AdminRole;
}

/** Where the authorization leaves the caller for handlers. */
export const callerKey = createContextKey<Caller | undefined>(undefined, { description: "caller of an admin method" });

/** Who makes the call. */
export function getCaller({ values }: Pick<HandlerContext, "values">): Caller {
  const caller = values.get(callerKey);
  if (caller === undefined) throw new ConnectError("no caller was established for this call", Code.Internal);
  return caller;
}

/** The actor that a change is recorded under. */
export function getActor(context: Pick<HandlerContext, "values">): string {
  return getCaller(context).actor;
}
