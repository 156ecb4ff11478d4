/** Replaces tokens of an issuer before they expire. */
import { type Credentials, session } from "./session.ts";

let underWay: Promise<void> | undefined;

/** Resolves when the session's token is good for a call, or cannot be made so: then the server's answer says why. */
export async function ensureFreshToken(): Promise<void> {
  const { state } = session;
  if (state.status !== "signed-in" || !isDue(state.credentials)) return;
  underWay ??= renew(state.credentials).finally(() => {
    underWay = undefined;
  });
  await underWay;
}

function isDue({ refreshToken, expiresAtMs }: Credentials): boolean {
  return refreshToken !== undefined && expiresAtMs !== undefined && Date.now() >= expiresAtMs;
}

async function renew(credentials: Credentials): Promise<void> {
  try {
    const { renewOidcSession } = await import("./oidc.ts");
    await renewOidcSession(credentials);
  } catch {
    // The token is tried as it is. The server says so when it has expired, and the page asks who it is.
  }
}
