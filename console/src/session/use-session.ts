/** The session in components: who the caller is, and what the caller's role may do. */
import type { Role } from "@api/role_pb.js";
import { useSyncExternalStore } from "react";
import { readSecretId } from "../../../src/contract/secret-id.ts";
import { type Caller, roleNames, type Session, type SessionState, session } from "./session.ts";

/** Returns the state of a session, and renders again when it changes. */
export function useSession(of: Session = session): SessionState {
  return useSyncExternalStore(of.subscribe, () => of.state);
}

/** Returns who is signed in. Only pages use it, which are shown to nobody else. */
export function useCaller(): Caller {
  const state = useSession();
  if (state.status !== "signed-in" && state.status !== "ended") throw new Error("nobody is signed in");
  return state.caller;
}

/** Returns the id of the token that somebody is signed in with; undefined for an issuer's token. */
export function useSessionTokenId(): string | undefined {
  const state = useSession();
  return state.status === "signed-in" ? readSecretId(state.credentials.token) : undefined;
}

/** Whether the caller may do something that needs `role`; if not, `reason` says so in a sentence for people. */
export type May =
  | { readonly may: true; readonly reason?: undefined }
  | { readonly may: false; readonly reason: string };

/** Returns whether the caller's role suffices for what needs `role`. @public */
export function useMay(role: Role): May {
  const caller = useCaller();
  if (caller.role >= role) return { may: true };
  return { may: false, reason: `This needs the role ${roleNames[role]}; yours is ${roleNames[caller.role]}.` };
}
