/** The part of the tests' issuer by which people sign in: authorization code with PKCE, refresh and sign-out. */
import { createHash, randomBytes } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { text } from "node:stream/consumers";

/** The client that the issuer knows. */
export const testClientId = "bmaas-console";

/** What the issuer does when people sign in; tests change it. */
export interface SignIns {
  /** Claims of whoever signs in, in all tokens. */
  claims: Readonly<Record<string, unknown>>;
  /** The requests that codes were given for. */
  readonly codes: Map<string, URLSearchParams>;
  /** Refresh tokens that can still be used, each once. */
  readonly refreshTokens: Set<string>;
  /** How often tokens were refreshed. */
  refreshes: number;
  /** Error that the next sign-ins get, such as "access_denied". */
  refusal: string | undefined;
  /** Whether access tokens are for nobody but the issuer, so that the ID token says who it is. */
  isOpaque: boolean;
  /** How long access tokens are valid. */
  lifetimeSeconds: number;
}

/** The issuer, as far as people sign in at it. */
interface SignInIssuer {
  readonly url: string;
  readonly signIns: SignIns;
  sign(init: { readonly claims: Readonly<Record<string, unknown>> }): Promise<string>;
}

/** Returns the part of the discovery document. */
export function describeSignIn(url: string, alg: string): object {
  return {
    authorization_endpoint: `${url}/authorize`,
    token_endpoint: `${url}/token`,
    end_session_endpoint: `${url}/logout`,
    response_types_supported: ["code"],
    code_challenge_methods_supported: ["S256"],
    id_token_signing_alg_values_supported: [alg],
    token_endpoint_auth_methods_supported: ["none"],
    scopes_supported: ["openid", "profile", "offline_access"],
  };
}

/** Answers requests of people and of their pages. Resolves to false for all others. */
export async function answerSignIn(
  issuer: SignInIssuer,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<boolean> {
  const { pathname, searchParams } = new URL(request.url ?? "/", issuer.url);
  if (pathname.endsWith("/authorize")) {
    response.writeHead(302, { location: authorize(issuer.signIns, searchParams) }).end();
    return true;
  }
  if (pathname.endsWith("/logout")) {
    response.writeHead(302, { location: searchParams.get("post_logout_redirect_uri") ?? "/" }).end();
    return true;
  }
  if (!pathname.endsWith("/token")) return false;
  const answer = await giveTokens(issuer, new URLSearchParams(await text(request)));
  const headers = { "content-type": "application/json", "access-control-allow-origin": "*" };
  response.writeHead("error" in answer ? 400 : 200, headers).end(JSON.stringify(answer));
  return true;
}

/** Lets everybody in at once, and returns where they go. */
function authorize(signIns: SignIns, asked: URLSearchParams): string {
  const target = new URL(asked.get("redirect_uri") ?? "");
  target.searchParams.set("state", asked.get("state") ?? "");
  if (signIns.refusal !== undefined) {
    target.searchParams.set("error", signIns.refusal);
    return target.href;
  }
  const code = randomBytes(16).toString("hex");
  signIns.codes.set(code, asked);
  target.searchParams.set("code", code);
  return target.href;
}

async function giveTokens(issuer: SignInIssuer, form: URLSearchParams): Promise<object> {
  const { signIns } = issuer;
  if (form.get("client_id") !== testClientId) return { error: "invalid_client" };
  let nonce: string | undefined;
  if (form.get("grant_type") === "refresh_token") {
    if (!signIns.refreshTokens.delete(form.get("refresh_token") ?? "")) return { error: "invalid_grant" };
    signIns.refreshes += 1;
  } else {
    const asked = signIns.codes.get(form.get("code") ?? "");
    const challenge = createHash("sha256")
      .update(form.get("code_verifier") ?? "")
      .digest("base64url");
    signIns.codes.delete(form.get("code") ?? "");
    if (asked === undefined || challenge !== asked.get("code_challenge")) return { error: "invalid_grant" };
    if (form.get("redirect_uri") !== asked.get("redirect_uri")) return { error: "invalid_grant" };
    nonce = asked.get("nonce") ?? undefined;
  }
  const refreshToken = randomBytes(16).toString("hex");
  signIns.refreshTokens.add(refreshToken);
  const exp = Math.floor(Date.now() / 1_000) + signIns.lifetimeSeconds;
  return {
    access_token: signIns.isOpaque ? "opaque" : await issuer.sign({ claims: { ...signIns.claims, exp } }),
    id_token: await issuer.sign({ claims: { ...(signIns.isOpaque && signIns.claims), aud: testClientId, nonce } }),
    refresh_token: refreshToken,
    token_type: "Bearer",
    expires_in: signIns.lifetimeSeconds,
  };
}
