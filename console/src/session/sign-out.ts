/** Ends the session. */
import { queryClient } from "../query-client.ts";
import { session } from "./session.ts";

/** Forgets the token and everything that was read with it, and tells the issuer where there is one. */
export async function signOut(): Promise<void> {
  const { state } = session;
  queryClient.clear();
  if (state.status === "signed-in" && state.credentials.idToken !== undefined) {
    const { endOidcSession } = await import("./oidc.ts");
    await endOidcSession(state.credentials).catch(() => {});
  } else {
    session.signOut();
  }
}
