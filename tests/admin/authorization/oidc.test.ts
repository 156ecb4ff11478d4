/** Tokens of an OpenID Connect issuer: which let in, as whom, and what happens when the issuer has a bad day. */
import { createHmac } from "node:crypto";
import { ConnectError } from "@connectrpc/connect";
import { exportSPKI } from "jose";
import { afterAll, beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { Role } from "../../../gen/bmaas/admin/v1/role_pb.js";
import { TokenService } from "../../../gen/bmaas/admin/v1/token_service_pb.js";
import { RetryInfoSchema } from "../../../gen/google/rpc/error_details_pb.js";
import { createOidcIdentify } from "../../../src/admin/authorization/identify-oidc.ts";
import { createIssuerKeys, IssuerAwayError, issuerTimes } from "../../../src/admin/authorization/issuer-keys.ts";
import { codeOf } from "../../support/agents.ts";
import { createTestDatabase } from "../../support/database.ts";
import { createSigningKey, startOidcIssuer, type TokenInit } from "../../support/oidc-issuer.ts";
import { adminClient, tokenOf } from "../../support/operator.ts";
import { createCollectingLog, type LogLine, startTestServer } from "../../support/server.ts";
import { waitUntil } from "../../support/wait.ts";

const database = await createTestDatabase();
afterAll(() => database.close());
const issuer = await startOidcIssuer();
afterAll(() => issuer[Symbol.asyncDispose]());
const settings = {
  BMAAS_OIDC_ISSUER: issuer.url,
  BMAAS_OIDC_AUDIENCE: "bmaas,bmaas-cli",
  BMAAS_OIDC_ROLE_CLAIM: "realm_access.roles",
  BMAAS_OIDC_ROLES: "admin=bmaas-admins,operator=sre,operator=dc ops,viewer=staff",
};
const server = await startTestServer(database.url, { ...settings, BMAAS_ADMIN_BEHIND_PROXY: "on" });
afterAll(() => server.close());

const roles = (...values: unknown[]) => ({ realm_access: { roles: values } });
const staff = roles("staff");
const inSeconds = (seconds: number) => Math.floor(Date.now() / 1000) + seconds;

let calls = 0;

/** Each call comes from another address, so that no limit on wrong tokens is in the way. */
function callerOf(token: string) {
  calls += 1;
  const headers = { "x-forwarded-for": `192.0.2.${calls}` };
  return adminClient(TokenService, server.adminUrl, token).getCaller({}, { headers });
}

async function refusalOf(token: string): Promise<string> {
  return await callerOf(token).then(
    () => "let in",
    (error: unknown) => `${ConnectError.from(error).code}: ${ConnectError.from(error).rawMessage}`,
  );
}

describe("a token of the issuer", () => {
  test.each([
    [["staff"], Role.VIEWER],
    [["sre"], Role.OPERATOR],
    [["x", "dc ops"], Role.OPERATOR],
    [["staff", "bmaas-admins", "sre"], Role.ADMIN],
    [[1, null, { staff: true }, "sre"], Role.OPERATOR],
  ])("whose roles are %j lets its subject in with the greatest of them", async (values, role) => {
    expect(await callerOf(await issuer.sign({ claims: roles(...values) }))).toMatchObject({
      actor: "oidc:alice",
      role,
    });
  });

  test.each([
    ["for one of several audiences", { claims: { ...staff, aud: ["other", "bmaas-cli"] } }],
    ["of a clock that is a little ahead", { claims: { ...staff, nbf: inSeconds(10) } }],
    ["that expired a moment ago", { claims: { ...staff, exp: inSeconds(-10) } }],
    ["that says what it is (RFC 9068)", { claims: staff, header: { typ: "at+JWT" } }],
    ["that names no key when the issuer has one", { claims: staff, header: { kid: undefined } }],
    ["of a long subject", { claims: { ...staff, sub: "s".repeat(255) } }],
  ] satisfies [string, TokenInit][])("%s lets in", async (_what, init) => {
    expect(await refusalOf(await issuer.sign(init))).toBe("let in");
  });

  test.each([
    ["of another issuer", { claims: { ...staff, iss: "https://other.example" } }, "from another issuer"],
    ["of the issuer with a slash", { claims: { ...staff, iss: `${issuer.url}/` } }, "from another issuer"],
    ["of no issuer", { claims: { ...staff, iss: undefined } }, "from another issuer"],
    ["for another audience", { claims: { ...staff, aud: "other" } }, '"aud"'],
    ["for no audience", { claims: { ...staff, aud: undefined } }, '"aud"'],
    ["that has expired", { claims: { ...staff, exp: inSeconds(-3600) } }, "has expired"],
    ["that never expires", { claims: { ...staff, exp: undefined } }, '"exp"'],
    ["that does not hold yet", { claims: { ...staff, nbf: inSeconds(3600) } }, '"nbf"'],
    ["of nobody", { claims: { ...staff, sub: undefined } }, '"sub"'],
    ["of an empty subject", { claims: { ...staff, sub: "" } }, "subject"],
    ["of a subject that breaks lines", { claims: { ...staff, sub: "alice\nadmin" } }, "subject"],
    ["of a subject that PostgreSQL cannot hold", { claims: { ...staff, sub: "alice\u0000" } }, "subject"],
    ["of a subject without end", { claims: { ...staff, sub: "s".repeat(256) } }, "subject"],
    ["for logging out", { claims: staff, header: { typ: "logout+jwt" } }, "type"],
  ] satisfies [string, TokenInit, string][])("%s is refused", async (_what, init, reason) => {
    expect(await refusalOf(await issuer.sign(init))).toMatch(new RegExp(`^16: .*${reason}`));
  });

  test.each([
    ["no such role", roles("visitors")],
    ["no roles", roles()],
    ["no such claim", {}],
    ["a claim of another form", { realm_access: "staff" }],
    ["the words of a role", roles("dc", "ops")],
    ["an inherited property", { realm_access: { constructor: ["staff"] } }],
  ])("whose holder has %s is known, and may do nothing", async (_what, claims) => {
    expect(await refusalOf(await issuer.sign({ claims }))).toBe(
      "7: GetCaller requires the role viewer, and you have none",
    );
  });
});

describe("a forged token", () => {
  const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const claims = { iss: issuer.url, aud: "bmaas", sub: "mallory", exp: inSeconds(300), ...roles("bmaas-admins") };

  test("without a signature is refused", async () => {
    const header = encode({ alg: "none", kid: issuer.key.kid });
    expect(await refusalOf(`${header}.${encode(claims)}.`)).toMatch(/^16: .*algorithm/);
    const [, , signature] = (await issuer.sign({ claims: staff })).split(".");
    expect(await refusalOf(`${header}.${encode(claims)}.${signature}`)).toMatch(/^16: .*algorithm/);
  });

  test("with the public key for a secret is refused", async () => {
    for (const secret of [await exportSPKI(issuer.key.publicKey), JSON.stringify(issuer.key.publicKey)]) {
      const content = `${encode({ alg: "HS256", kid: issuer.key.kid })}.${encode(claims)}`;
      const signature = createHmac("sha256", secret).update(content).digest("base64url");
      expect(await refusalOf(`${content}.${signature}`)).toMatch(/^16: .*algorithm/);
    }
  });

  test("by another key of the same name, with a key of its own, or of an unknown key is refused", async () => {
    const key = await createSigningKey(issuer.key.kid);
    expect(await refusalOf(await issuer.sign({ claims, key }))).toMatch(/^16: .*signature/);
    const unknown = await createSigningKey("key-of-mallory");
    expect(await refusalOf(await issuer.sign({ claims, key: unknown }))).toMatch(/^16: .*key/);
  });

  test("whose claims were changed is refused", async () => {
    const [header, , signature] = (await issuer.sign({ claims: staff })).split(".");
    expect(await refusalOf(`${header}.${encode(claims)}.${signature}`)).toMatch(/^16: .*signature/);
  });
});

test("what an issuer's person does is on record under their subject", async () => {
  const client = adminClient(TokenService, server.adminUrl, await issuer.sign({ claims: roles("bmaas-admins") }));
  const { token } = await client.createToken({ name: "made-by-alice", role: Role.VIEWER });
  expect(token?.creator).toBe("oidc:alice");
});

test("without an issuer its tokens are unknown", async () => {
  await using plain = await startTestServer(database.url);
  const client = adminClient(TokenService, plain.adminUrl, await issuer.sign({ claims: staff }));
  expect(await codeOf(client.getCaller({}))).toBe("Unauthenticated");
});

describe("when the issuer is away", () => {
  test("callers are told to come back, tokens of ours let in, and forgeries are refused", async () => {
    issuer.mood = "away";
    onTestFinished(() => {
      issuer.mood = "well";
    });
    await using late = await startTestServer(database.url, settings);
    await waitUntil("it says so", () =>
      late.logged.some(({ msg }) => String(msg).includes("cannot fetch from the OpenID")),
    );
    const token = await issuer.sign({ claims: staff });
    const call = adminClient(TokenService, late.adminUrl, token).getCaller({});
    const error = await call.then(
      () => undefined,
      (caught: unknown) => ConnectError.from(caught),
    );
    expect(error?.rawMessage).toMatch(/OpenID Connect issuer is unreachable/);
    expect(error?.findDetails(RetryInfoSchema)[0]?.retryDelay?.seconds).toBeGreaterThan(0n);
    const { secret } = await tokenOf(database.db, "viewer");
    expect(await codeOf(adminClient(TokenService, late.adminUrl, secret).getCaller({}))).toBe("ok");
    const foreign = await issuer.sign({ claims: { ...staff, iss: "https://other.example" } });
    expect(await codeOf(adminClient(TokenService, late.adminUrl, foreign).getCaller({}))).toBe("Unauthenticated");
    expect(JSON.stringify(late.logged)).not.toContain(token);
  });
});

/** The same without a server, with times that a test can wait for. */
function identifyWith(times: Partial<typeof issuerTimes>, logged: LogLine[] = []) {
  const config = {
    issuer: issuer.url,
    audiences: ["bmaas"],
    roleClaim: "roles",
    roles: [{ role: "viewer", value: "*" }],
  } as const;
  const keys = createIssuerKeys(issuer.url, createCollectingLog(logged), { ...issuerTimes, ...times });
  return createOidcIdentify(config, keys);
}

describe("the issuer's keys", () => {
  beforeEach(() => {
    issuer.mood = "well";
    issuer.asked.length = 0;
  });

  test("are fetched once for many calls", async () => {
    const identify = identifyWith({});
    const token = await issuer.sign();
    await Promise.all(Array.from({ length: 20 }, () => identify(token)));
    expect(await identify(token)).toEqual({ actor: "oidc:alice", role: "viewer" });
    expect(issuer.asked).toHaveLength(2);
  });

  test("are fetched anew for a new one, which ends the old one", async () => {
    const identify = identifyWith({ keysCooldownMs: 0 });
    const old = await issuer.sign();
    expect(await identify(old)).toMatchObject({ actor: "oidc:alice" });
    for (const alg of ["RS256", "EdDSA", "PS384"]) {
      await issuer.rotate(alg);
      expect(await identify(await issuer.sign())).toMatchObject({ actor: "oidc:alice" });
      expect(await identify(old)).toHaveProperty("refused");
    }
  });

  test("are not fetched for each unknown one", async () => {
    const identify = identifyWith({});
    await identify(await issuer.sign());
    const forged = await issuer.sign({ key: await createSigningKey("unknown") });
    for (let attempt = 0; attempt < 10; attempt++) expect(await identify(forged)).toHaveProperty("refused");
    expect(issuer.asked).toHaveLength(2);
  });

  test("are good while the issuer is away, until they are too old", async () => {
    const token = await issuer.sign();
    const [patient, strict] = [identifyWith({}), identifyWith({ keysMaxAgeMs: 0 })];
    expect(await patient(token)).toMatchObject({ actor: "oidc:alice" });
    expect(await strict(token)).toMatchObject({ actor: "oidc:alice" });
    issuer.mood = "away";
    expect(await patient(token)).toMatchObject({ actor: "oidc:alice" });
    await expect(strict(token)).rejects.toThrow(IssuerAwayError);
  });

  test.each(["away", "broken", "impostor", "rambling"] as const)(
    "of one that is %s are not asked for by each call, and soon again",
    async (mood) => {
      issuer.mood = mood;
      const logged: LogLine[] = [];
      const identify = identifyWith({}, logged);
      const token = await issuer.sign();
      for (let attempt = 0; attempt < 5; attempt++) await expect(identify(token)).rejects.toThrow(IssuerAwayError);
      expect(issuer.asked).toHaveLength(1);
      expect(logged).toMatchObject([{ level: 40, msg: "cannot fetch from the OpenID Connect issuer" }]);
      const eager = identifyWith({ failureCooldownMs: 0 });
      await expect(eager(token)).rejects.toThrow(IssuerAwayError);
      issuer.mood = "well";
      expect(await eager(token)).toMatchObject({ actor: "oidc:alice" });
    },
  );
});

test.each([
  [
    "a claim whose name is a URL",
    "https://bmaas.example/roles",
    { "https://bmaas.example/roles": ["sre"] },
    "operator",
  ],
  ["a single value", "role", { role: "sre" }, "operator"],
  ["a value that only begins with the role", "role", { role: "sre and more" }, undefined],
  ["the words of a scope", "scope", { scope: "openid sre" }, "operator"],
])("a role is read from %s", async (_what, roleClaim, claims, role) => {
  const config = {
    issuer: issuer.url,
    audiences: ["bmaas"],
    roleClaim,
    roles: [{ role: "operator", value: "sre" }],
  } as const;
  const keys = createIssuerKeys(issuer.url, createCollectingLog([]));
  expect(await createOidcIdentify(config, keys)(await issuer.sign({ claims }))).toEqual({
    actor: "oidc:alice",
    role,
  });
});
