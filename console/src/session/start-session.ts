/** What happens to the session when the page is loaded. */
import { Code, ConnectError } from "@connectrpc/connect";
import { session } from "./session.ts";
import { SignInError, signInWith } from "./sign-in-by-token.ts";

/** Path to which an issuer sends people back. */
const returnPath = "/signed-in";

/** Continues a sign-in at the issuer, or the session of the tab before it was reloaded, or asks who it is. */
export async function startSession(): Promise<void> {
  try {
    if (window.location.pathname === returnPath) {
      const { finishOidcSignIn } = await import("./oidc.ts");
      await finishOidcSignIn();
      return;
    }
    const kept = session.findKept();
    if (kept === undefined) session.signOut();
    else await signInWith(kept);
  } catch (error) {
    session.signOut(error instanceof SignInError ? error.message : describe(error));
  }
}

function describe(error: unknown): string {
  const { code, rawMessage } = ConnectError.from(error);
  return code === Code.Unknown ? rawMessage : `${rawMessage}.`;
}
