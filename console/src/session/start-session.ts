/** What happens to the session when the page is loaded. */
import { Code, ConnectError } from "@connectrpc/connect";
import { type Credentials, session } from "./session.ts";
import { SignInError, signInWith } from "./sign-in-by-token.ts";

/** Path to which an issuer sends people back. */
const returnPath = "/signed-in";

/** Shortest and longest pause before a server that is away is asked again, in milliseconds. */
const [shortestPauseMs, longestPauseMs] = [1_000, 10_000];

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
    else await continueWith(kept);
  } catch (error) {
    session.signOut(error instanceof SignInError ? error.message : describe(error));
  }
}

/** Signs in with what was kept, once the server can be asked: that it is away says nothing about the token. */
async function continueWith(kept: Credentials): Promise<void> {
  for (let pauseMs = shortestPauseMs; ; pauseMs = Math.min(2 * pauseMs, longestPauseMs)) {
    try {
      await (isOver(kept) ? (await import("./oidc.ts")).renewOidcSession(kept) : signInWith(kept));
      return;
    } catch (error) {
      if (!(error instanceof SignInError) || error.kind !== "away") throw error;
      session.delay(error.message);
    }
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
    if (session.state.status !== "starting") return;
  }
}

/** Returns whether an issuer's token has run out, and a new one can be asked for. */
function isOver({ renewAtMs, refreshToken }: Credentials): boolean {
  return refreshToken !== undefined && renewAtMs !== undefined && Date.now() >= renewAtMs;
}

function describe(error: unknown): string {
  const { code, rawMessage } = ConnectError.from(error);
  return code === Code.Unknown ? rawMessage : `${rawMessage}.`;
}
