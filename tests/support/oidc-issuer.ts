/** A small OpenID Connect issuer over HTTP, with keys of its own that it can replace, and with bad days. */
import { once } from "node:events";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { type CryptoKey, exportJWK, generateKeyPair, SignJWT } from "jose";

/** What a token says beyond the usual, and how it is signed; undefined leaves a claim out. */
export interface TokenInit {
  readonly claims?: Readonly<Record<string, unknown>>;
  /** Default: the issuer's key of now. */
  readonly key?: SigningKey;
  readonly header?: { readonly kid?: string | undefined; readonly typ?: string };
}

/** A key pair and what it is called. */
export interface SigningKey {
  readonly kid: string;
  readonly alg: string;
  readonly privateKey: CryptoKey;
  readonly publicKey: CryptoKey;
}

/** How the issuer answers: as it should, not at all, or wrongly. */
export type Mood = "well" | "away" | "broken" | "impostor" | "rambling";

/** An issuer that runs until it is disposed of. */
export interface OidcIssuer extends AsyncDisposable {
  readonly url: string;
  /** Paths that were asked for, oldest first. */
  readonly asked: string[];
  mood: Mood;
  /** The key that it signs with now. */
  key: SigningKey;
  /** What it publishes, each under a name or none; absent: its key of now. */
  published: readonly (readonly [key: SigningKey, kid: string | undefined])[] | undefined;
  /** Replaces its key; the old one is not published any more. */
  rotate(alg?: string): Promise<void>;
  /** A token for the audience "bmaas" of the subject "alice", good for five minutes unless told otherwise. */
  sign(init?: TokenInit): Promise<string>;
}

/** A key that no issuer publishes. */
export async function createSigningKey(kid: string, alg = "ES256"): Promise<SigningKey> {
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true });
  return { kid, alg, privateKey, publicKey };
}

/** Starts one on loopback. */
export async function startOidcIssuer(): Promise<OidcIssuer> {
  let keysMade = 1;
  const server = createServer((request, response) => {
    issuer.asked.push(request.url ?? "");
    void answer(issuer, request.url ?? "", response);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const issuer: OidcIssuer = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/realms/ops`,
    asked: [],
    mood: "well",
    key: await createSigningKey("key-1"),
    published: undefined,
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
    },
    "/realms/ops/keys": { keys: await Promise.all(keys) },
  };
  const document = documents[path];
  response.writeHead(document === undefined ? 404 : 200, { "content-type": "application/json" });
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
