/** Who calls, once it is known. */
import { Code, ConnectError, createContextKey, type HandlerContext } from "@connectrpc/connect";
import type { AdminRole } from "../../db/queries/admin-token.ts";

/** A caller whose credentials were checked. */
export interface Caller {
  /** As the history names it: "token:" and the token's name, or "oidc:" and the subject. */
  readonly actor: string;
  readonly role: AdminRole;
}

/** Where the authorization leaves the caller for handlers. */
export const callerKey = createContextKey<Caller | undefined>(undefined, { description: "caller of an admin method" });

/** The actor that a change is recorded under. */
export function getActor(context: Pick<HandlerContext, "values">): string {
  const caller = context.values.get(callerKey);
  if (caller === undefined) throw new ConnectError("no caller was established for this call", Code.Internal);
  return caller.actor;
}
