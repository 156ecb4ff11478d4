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

function isDue({ refreshToken, renewAtMs }: Credentials): boolean {
  return refreshToken !== undefined && renewAtMs !== undefined && Date.now() >= renewAtMs;
}

async function renew(credentials: Credentials): Promise<void> {
  try {
    const { renewOidcSession } = await import("./oidc.ts");
    await renewOidcSession(credentials);
  } catch {
    // The token is tried as it is. The server says so when it has expired, and the page asks who it is.
  }
}

/** Shortest pause between two attempts, and the longest time for which a timer is set, in milliseconds. */
const [pauseMs, longestMs] = [5_000, 3_600_000];

/**
 * Replaces the session's tokens in time for as long as the tab is open. Otherwise only calls would do so, and the
 * server ends the stream of changes when its token expires.
 */
export function renewInTime(): void {
  let timer = 0;
  const plan = () => {
    window.clearTimeout(timer);
    const { state } = session;
    if (state.status !== "signed-in") return;
    const { refreshToken, renewAtMs } = state.credentials;
    if (refreshToken === undefined || renewAtMs === undefined) return;
    const waitMs = Math.min(Math.max(renewAtMs - Date.now(), 0), longestMs);
    timer = window.setTimeout(async () => {
      await ensureFreshToken();
      if (session.state === state) timer = window.setTimeout(plan, isDue(state.credentials) ? pauseMs : 0);
    }, waitMs);
  };
  session.subscribe(plan);
  plan();
}
