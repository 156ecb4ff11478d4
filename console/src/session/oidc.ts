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

/** How long before its end a token is replaced, in milliseconds. */
const renewBeforeMs = 60_000;

/** Leaves the page for the issuer, which sends its owner back to `/signed-in`. */
export async function beginOidcSignIn(isKept: boolean): Promise<void> {
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
  sessionStorage.setItem(storageName, JSON.stringify(journey));
  window.location.assign(url);
}

/** Exchanges the code that the issuer sent for tokens, signs in, and comes back to the page that was open. */
export async function finishOidcSignIn(): Promise<void> {
  const url = new URL(window.location.href);
  const journey = takeJourney();
  // The code is worth nothing without the verifier, and yet it need not stand in the address.
  window.history.replaceState(null, "", journey?.returnTo ?? "/");
  if (journey === undefined)
    throw new SignInError("This sign-in was begun elsewhere, or is over: sign in again.", "refused");
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
    await enter(tokens, journey.isKept, undefined);
  } catch (error) {
    throw toSignInError(error);
  }
}

/** Asks the issuer for a new token. Throws SignInError if it gives none. */
export async function renewOidcSession(credentials: Credentials): Promise<void> {
  if (credentials.refreshToken === undefined) throw new SignInError("The issuer gave no refresh token.", "refused");
  const { server, client } = await discover();
  try {
    const options = { [oauth.allowInsecureRequests]: isLocal(server) };
    const response = await oauth.refreshTokenGrantRequest(
      server,
      client,
      oauth.None(),
      credentials.refreshToken,
      options,
    );
    const tokens = await oauth.processRefreshTokenResponse(server, client, response);
    await enter(tokens, credentials.isKept, credentials);
  } catch (error) {
    throw toSignInError(error);
  }
}

/** Forgets the session here and at the issuer, which then sends people back. */
export async function endOidcSession({ idToken }: Credentials): Promise<void> {
  session.signOut();
  const { server, client } = await discover();
  if (server.end_session_endpoint === undefined || idToken === undefined) return;
  const url = new URL(server.end_session_endpoint);
  url.searchParams.set("id_token_hint", idToken);
  url.searchParams.set("client_id", client.client_id);
  url.searchParams.set("post_logout_redirect_uri", `${window.location.origin}/`);
  window.location.assign(url);
}

/**
 * Signs in with what the issuer gave. Some issuers give access tokens that are for others; then the ID token says who
 * it is.
 */
async function enter(
  tokens: oauth.TokenEndpointResponse,
  isKept: boolean,
  former: Credentials | undefined,
): Promise<void> {
  const { access_token: accessToken, refresh_token: refreshToken, id_token: idToken, expires_in: seconds } = tokens;
  const common = {
    refreshToken: refreshToken ?? former?.refreshToken,
    idToken: idToken ?? former?.idToken,
    expiresAtMs: seconds === undefined ? undefined : Date.now() + seconds * 1_000 - renewBeforeMs,
    isKept,
  };
  const candidates = [accessToken, idToken].filter((token) => token !== undefined && token.split(".").length === 3);
  let refusal: unknown = new SignInError("The issuer gave no token that this server could read.", "refused");
  for (const token of candidates) {
    try {
      await signInWith({ token: token ?? "", ...common });
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
