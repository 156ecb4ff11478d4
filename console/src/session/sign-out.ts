/** Ends the session. */
import { queryClient } from "../query-client.ts";
import { session } from "./session.ts";

/** Forgets the token and everything that was read with it, and tells the issuer if there is one that can be told. */
export async function signOut(): Promise<void> {
  const { state } = session;
  session.signOut();
  queryClient.clear();
  if (state.status !== "signed-in" || state.credentials.idToken === undefined) return;
  try {
    const { endOidcSession } = await import("./oidc.ts");
    await endOidcSession(state.credentials);
  } catch {
    // Whoever wants to sign out is signed out here, and the issuer's session ends by itself.
  }
}
