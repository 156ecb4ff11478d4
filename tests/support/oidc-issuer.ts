/** A small OpenID Connect issuer over HTTP, with keys that it can rotate and failures that it can simulate. */
import { once } from "node:events";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { type CryptoKey, exportJWK, generateKeyPair, SignJWT } from "jose";
import { answerSignIn, describeSignIn, type SignIns } from "./oidc-sign-in.ts";

/** Additional claims and header of a token, and its key. An undefined claim is left out. */
export interface TokenInit {
  readonly claims?: Readonly<Record<string, unknown>>;
  /** Default: the issuer's current key. */
  readonly key?: SigningKey;
  readonly header?: { readonly kid?: string | undefined; readonly typ?: string };
}

/** A key pair with its name and algorithm. */
export interface SigningKey {
  readonly kid: string;
  readonly alg: string;
  readonly privateKey: CryptoKey;
  readonly publicKey: CryptoKey;
}

/** How the issuer answers: correctly, not at all, or wrongly. */
export type Mood = "well" | "away" | "broken" | "impostor" | "rambling";

/** A running issuer, which stops when it is disposed of. */
export interface OidcIssuer extends AsyncDisposable {
  readonly url: string;
  /** Requested paths, oldest first. */
  readonly asked: string[];
  mood: Mood;
  /** Current signing key. */
  key: SigningKey;
  /** Published keys, each with a name or without one. Undefined: the current key. */
  published: readonly (readonly [key: SigningKey, kid: string | undefined])[] | undefined;
  /** Replaces the current key. The old one is no longer published. */
  rotate(alg?: string): Promise<void>;
  /** Sign-ins in browsers, by the authorization code flow with PKCE. */
  readonly signIns: SignIns;
  /** Returns a token. Defaults: audience "bmaas", subject "alice", valid for five minutes. */
  sign(init?: TokenInit): Promise<string>;
}

/** Returns a new key that no issuer publishes. */
export async function createSigningKey(kid: string, alg = "ES256"): Promise<SigningKey> {
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true });
  return { kid, alg, privateKey, publicKey };
}

/** Starts an issuer on loopback. */
export async function startOidcIssuer(): Promise<OidcIssuer> {
  let keysMade = 1;
  const server = createServer((request, response) => {
    issuer.asked.push(request.url ?? "");
    void answerSignIn(issuer, request, response).then((isAnswered) => {
      if (!isAnswered) void answer(issuer, request.url ?? "", response);
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const issuer: OidcIssuer = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/realms/ops`,
    asked: [],
    mood: "well",
    key: await createSigningKey("key-1"),
    published: undefined,
    signIns: {
      ...{ claims: {}, codes: new Map(), refreshTokens: new Set<string>(), refreshes: 0 },
      ...{ refusal: undefined, isOpaque: false, lifetimeSeconds: 300 },
    },
    rotate: async (alg) => {
      keysMade += 1;
      issuer.key = await createSigningKey(`key-${keysMade}`, alg);
    },
    sign: (init) => sign(issuer, init),
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return issuer;
}

async function answer(issuer: OidcIssuer, path: string, response: ServerResponse): Promise<void> {
  if (issuer.mood === "away") return void response.destroy();
  if (issuer.mood === "broken") return void response.writeHead(500).end("{}");
  if (issuer.mood === "rambling") return void response.writeHead(200).end(" ".repeat(2 * 1024 * 1024));
  const published = issuer.published ?? [[issuer.key, issuer.key.kid]];
  const keys = published.map(async ([{ publicKey, alg }, kid]) =>
    withoutUndefined({ ...(await exportJWK(publicKey)), kid, alg, use: "sig" }),
  );
  const documents: Record<string, object> = {
    "/realms/ops/.well-known/openid-configuration": {
      issuer: issuer.mood === "impostor" ? "https://elsewhere.example" : issuer.url,
      jwks_uri: `${issuer.url}/keys`,
      ...describeSignIn(issuer.url, issuer.key.alg),
    },
    "/realms/ops/keys": { keys: await Promise.all(keys) },
  };
  const document = documents[path];
  response.writeHead(document === undefined ? 404 : 200, {
    "content-type": "application/json",
    "access-control-allow-origin": "*",
  });
  response.end(JSON.stringify(document ?? {}));
}

async function sign(issuer: OidcIssuer, { claims, key = issuer.key, header }: TokenInit = {}): Promise<string> {
  const now = Math.floor(Date.now() / 1000);
  const payload = { iss: issuer.url, aud: "bmaas", sub: "alice", iat: now, exp: now + 300, ...claims };
  const protectedHeader = withoutUndefined({ kid: key.kid, ...header });
  return await new SignJWT(withoutUndefined(payload))
    .setProtectedHeader({ ...protectedHeader, alg: key.alg })
    .sign(key.privateKey);
}

function withoutUndefined(object: object): Record<string, unknown> {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined));
}
