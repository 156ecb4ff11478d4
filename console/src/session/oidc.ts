/**
 * Signing in at the OpenID Connect issuer: authorization code with PKCE (RFC 7636), as a public client. Loaded only
 * where people do so.
 */
import * as oauth from "oauth4webapi";
import { readServerFacts } from "./server-facts.ts";
import { type Credentials, session } from "./session.ts";
import { SignInError, signInWith } from "./sign-in-by-token.ts";

/** What the page must remember while its owner is at the issuer. */
interface Journey {
  readonly verifier: string;
  readonly state: string;
  readonly nonce: string;
  /** Path, query and fragment of the page to come back to. */
  readonly returnTo: string;
  readonly isKept: boolean;
}

const storageName = "bmaas.journey";

/** Where the issuer sends people back; registered with the client at the issuer. */
const redirectUri = `${window.location.origin}/signed-in`;

/** How long before its end a token is replaced, in seconds. */
const renewBeforeSeconds = 60;

/** Returns when a token of some lifetime is to be replaced. A short-lived one is used for most of its time. */
function toRenewalMs(seconds: number): number {
  return Date.now() + (seconds - Math.min(renewBeforeSeconds, seconds / 3)) * 1_000;
}

/** Leaves the page for the issuer, which sends its owner back to `/signed-in`. */
export async function beginOidcSignIn(isKept: boolean): Promise<void> {
  const { url, journey } = await planJourney(isKept);
  sessionStorage.setItem(storageName, JSON.stringify(journey));
  window.location.assign(url);
}

/**
 * Signs in at the issuer in a window of its own, so that the open page keeps what was typed. Must be called for a
 * click: browsers open no window otherwise. `signal` ends the wait for the window.
 */
export async function signInInWindow(isKept: boolean, signal: AbortSignal): Promise<void> {
  const opened = window.open("about:blank", "_blank", "popup,width=520,height=720");
  if (opened === null) {
    throw new SignInError("The browser opened no window: let this page open one, or sign in with a token.", "away");
  }
  try {
    const { url, journey } = await planJourney(isKept);
    opened.location.replace(url);
    await redeem(journey, await takeAnswer(journey.state, signal));
  } catch (error) {
    opened.close();
    throw toSignInError(error);
  }
}

async function planJourney(isKept: boolean): Promise<{ url: URL; journey: Journey }> {
  const { server, client } = await discover();
  const verifier = oauth.generateRandomCodeVerifier();
  const journey: Journey = {
    verifier,
    state: oauth.generateRandomState(),
    nonce: oauth.generateRandomNonce(),
    returnTo: window.location.pathname + window.location.search + window.location.hash,
    isKept,
  };
  const url = new URL(server.authorization_endpoint ?? "");
  const wanted = ["openid", "profile", "offline_access"];
  const scope = wanted
    .filter((name) => name === "openid" || server.scopes_supported?.includes(name) === true)
    .join(" ");
  const parameters = {
    client_id: client.client_id,
    redirect_uri: redirectUri,
    response_type: "code",
    scope,
    state: journey.state,
    nonce: journey.nonce,
    code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
    code_challenge_method: "S256",
  };
  for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value);
  return { url, journey };
}

/** Exchanges the code that the issuer sent for tokens, signs in, and comes back to the page that was open. */
export async function finishOidcSignIn(): Promise<void> {
  const url = new URL(window.location.href);
  const journey = takeJourney();
  // The code is worth nothing without the verifier, and yet it need not stand in the address.
  window.history.replaceState(null, "", journey?.returnTo ?? "/");
  if (journey !== undefined) return await redeem(journey, url);
  if (!(await handOver(url))) {
    throw new SignInError("This sign-in was begun elsewhere, or is over: sign in again.", "refused");
  }
  session.handOver();
  window.close();
}

/** Exchanges the code in the URL to which the issuer has sent somebody for tokens, and signs in with them. */
async function redeem(journey: Journey, url: URL): Promise<void> {
  const { server, client } = await discover();
  try {
    const parameters = oauth.validateAuthResponse(server, client, url, journey.state);
    const response = await oauth.authorizationCodeGrantRequest(
      server,
      client,
      oauth.None(),
      parameters,
      redirectUri,
      journey.verifier,
      { [oauth.allowInsecureRequests]: isLocal(server) },
    );
    const expected = { expectedNonce: journey.nonce, requireIdToken: true };
    const tokens = await oauth.processAuthorizationCodeResponse(server, client, response, expected);
    await enter(toGiven(tokens), journey.isKept);
  } catch (error) {
    throw toSignInError(error);
  }
}

/** What windows of this origin tell each other about a sign-in; nobody else hears it. */
type Told = { readonly state: string; readonly url: string } | { readonly taken: string };

const channelName = "bmaas.signed-in";

/** How long a window waits for the page that has opened it, in milliseconds. */
const handOverMs = 2_000;

/** Tells the page that has begun the sign-in what the issuer sent. Returns whether there is such a page. */
async function handOver(url: URL): Promise<boolean> {
  const state = url.searchParams.get("state") ?? "";
  const channel = new BroadcastChannel(channelName);
  const { promise, resolve } = Promise.withResolvers<boolean>();
  channel.onmessage = ({ data }: MessageEvent<Told>) => {
    if ("taken" in data && data.taken === state) resolve(true);
  };
  const timer = setTimeout(() => resolve(false), handOverMs);
  channel.postMessage({ state, url: url.href } satisfies Told);
  const isTaken = await promise;
  clearTimeout(timer);
  channel.close();
  return isTaken;
}

/** Resolves to the URL to which the issuer has sent the window of a sign-in. */
async function takeAnswer(state: string, signal: AbortSignal): Promise<URL> {
  const channel = new BroadcastChannel(channelName);
  const { promise, resolve, reject } = Promise.withResolvers<URL>();
  channel.onmessage = ({ data }: MessageEvent<Told>) => {
    if (!("url" in data) || data.state !== state) return;
    channel.postMessage({ taken: state } satisfies Told);
    resolve(new URL(data.url));
  };
  signal.addEventListener("abort", () => reject(new SignInError("It was begun anew.", "refused")));
  return await promise.finally(() => channel.close());
}

/**
 * What the issuer gave last in place of some credentials. The server may be away when it is asked about that, and an
 * issuer may take a refresh token once only, so the next attempt must go on from here.
 */
const given = new WeakMap<Credentials, Given>();

/**
 * Asks the issuer for a new token, and continues the session with it unless its owner has signed out meanwhile. Throws
 * SignInError if there is none.
 */
export async function renewOidcSession(credentials: Credentials): Promise<void> {
  const former = given.get(credentials);
  const refreshToken = former?.refreshToken ?? credentials.refreshToken;
  if (refreshToken === undefined) throw new SignInError("The issuer gave no refresh token.", "refused");
  try {
    const isGood = former?.renewAtMs !== undefined && Date.now() < former.renewAtMs;
    const tokens = isGood ? former : toGiven(await refresh(refreshToken), { ...credentials, refreshToken });
    given.set(credentials, tokens);
    await enter(tokens, credentials.isKept, () => {
      const { state } = session;
      return state.status === "starting" || (state.status === "signed-in" && state.credentials === credentials);
    });
  } catch (error) {
    throw toSignInError(error);
  }
}

async function refresh(refreshToken: string): Promise<oauth.TokenEndpointResponse> {
  const { server, client } = await discover();
  const options = { [oauth.allowInsecureRequests]: isLocal(server) };
  const response = await oauth.refreshTokenGrantRequest(server, client, oauth.None(), refreshToken, options);
  return await oauth.processRefreshTokenResponse(server, client, response);
}

/** Ends the session at the issuer, which then sends people back. */
export async function endOidcSession({ token, idToken }: Credentials): Promise<void> {
  const { server, client } = await discover();
  if (server.end_session_endpoint === undefined || idToken === undefined) return;
  const url = new URL(server.end_session_endpoint);
  // No URL may hold the token that signs in at the server. Without the hint, issuers ask who signs out.
  if (idToken !== token) url.searchParams.set("id_token_hint", idToken);
  url.searchParams.set("client_id", client.client_id);
  url.searchParams.set("post_logout_redirect_uri", `${window.location.origin}/`);
  window.location.assign(url);
}

/** What the issuer gave. */
interface Given extends Omit<Credentials, "token" | "isKept"> {
  /** The tokens by which the server may know who it is, the likeliest first. */
  readonly candidates: readonly string[];
}

/**
 * Returns what the issuer gave, with what is still good of what it gave before. Some issuers give access tokens that
 * are for others; then the ID token says who it is.
 */
function toGiven(tokens: oauth.TokenEndpointResponse, former?: Pick<Credentials, "refreshToken" | "idToken">): Given {
  const { access_token: accessToken, refresh_token: refreshToken, id_token: idToken, expires_in: seconds } = tokens;
  return {
    refreshToken: refreshToken ?? former?.refreshToken,
    idToken: idToken ?? former?.idToken,
    renewAtMs: seconds === undefined ? undefined : toRenewalMs(seconds),
    candidates: [accessToken, idToken].filter((token) => token?.split(".").length === 3) as string[],
  };
}

/** Signs in with what the issuer gave, if it is still wanted by then. */
async function enter({ candidates, ...common }: Given, isKept: boolean, isWanted = () => true): Promise<void> {
  let refusal: unknown = new SignInError("The issuer gave no token that this server could read.", "refused");
  for (const token of candidates) {
    try {
      await signInWith({ token, ...common, isKept }, isWanted);
      return;
    } catch (error) {
      refusal = error;
      if (!(error instanceof SignInError) || error.kind !== "refused") break;
    }
  }
  throw refusal;
}

async function discover(): Promise<{ server: oauth.AuthorizationServer; client: oauth.Client }> {
  const { oidc } = await readServerFacts();
  if (oidc === null) throw new SignInError("The server knows no issuer any more: sign in with a token.", "refused");
  const issuer = new URL(oidc.issuer);
  try {
    const options = { algorithm: "oidc", [oauth.allowInsecureRequests]: issuer.protocol === "http:" } as const;
    const server = await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, options));
    return { server, client: { client_id: oidc.clientId, token_endpoint_auth_method: "none" } };
  } catch {
    throw new SignInError(`The issuer ${oidc.issuer} does not answer as one. Sign in with a token meanwhile.`, "away");
  }
}

/** The server admits an issuer over plain HTTP only on its own machine. */
function isLocal({ issuer }: oauth.AuthorizationServer): boolean {
  return new URL(issuer).protocol === "http:";
}

function takeJourney(): Journey | undefined {
  const stored = sessionStorage.getItem(storageName);
  sessionStorage.removeItem(storageName);
  return stored === null ? undefined : (JSON.parse(stored) as Journey);
}

function toSignInError(error: unknown): SignInError {
  if (error instanceof SignInError) return error;
  if (error instanceof oauth.AuthorizationResponseError || error instanceof oauth.ResponseBodyError) {
    const { error: code, error_description: description } = error;
    return new SignInError(`The issuer refused: ${description ?? code}.`, "refused");
  }
  const text = error instanceof Error ? error.message : String(error);
  return new SignInError(`Signing in at the issuer failed: ${text}.`, "away");
}
