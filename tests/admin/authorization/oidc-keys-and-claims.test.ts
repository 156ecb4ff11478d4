/** Keys that share a name or have none, and role claims in the forms that issuers give them. */
import { afterAll, beforeEach, describe, expect, test } from "vitest";
import { createOidcIdentify } from "../../../src/admin/authorization/identify-oidc.ts";
import { createIssuerKeys, IssuerAwayError, issuerTimes } from "../../../src/admin/authorization/issuer-keys.ts";
import { createSigningKey, type SigningKey, startOidcIssuer, type TokenInit } from "../../support/oidc-issuer.ts";
import { createCollectingLog } from "../../support/server.ts";

const issuer = await startOidcIssuer();
afterAll(() => issuer[Symbol.asyncDispose]());
const [first, second, third] = (await Promise.all(["k1", "k2", "k3"].map((kid) => createSigningKey(kid)))) as [
  SigningKey,
  SigningKey,
  SigningKey,
];

function identifyWith(times: Partial<typeof issuerTimes> = {}, roleClaim = "roles", value = "*") {
  const roles = [{ role: "viewer", value }] as const;
  const keys = createIssuerKeys(issuer.url, createCollectingLog([]), { ...issuerTimes, ...times });
  return createOidcIdentify({ issuer: issuer.url, audiences: ["bmaas"], roleClaim, roles }, keys);
}

const alice = { actor: "oidc:alice", role: "viewer" };
const nameless = (key: SigningKey): TokenInit => ({ key, header: { kid: undefined } });

beforeEach(() => {
  issuer.mood = "well";
  issuer.asked.length = 0;
});

describe("several keys", () => {
  test("under one name are each tried", async () => {
    issuer.published = [first, second].map((key) => [key, "shared"]);
    const identify = identifyWith();
    for (const key of [first, second]) {
      expect(await identify(await issuer.sign({ key, header: { kid: "shared" } }))).toEqual(alice);
    }
    const forged = await issuer.sign({ key: third, header: { kid: "shared" } });
    expect(await identify(forged)).toEqual({ refused: "the token's signature is wrong" });
  });

  test("without a name are each tried, whether the token names one or not", async () => {
    issuer.published = [first, second].map((key) => [key, undefined]);
    const identify = identifyWith();
    for (const key of [first, second]) {
      expect(await identify(await issuer.sign(nameless(key)))).toEqual(alice);
      expect(await identify(await issuer.sign({ key }))).toEqual(alice);
    }
    expect(await identify(await issuer.sign({ key: third }))).toHaveProperty("refused");
  });

  test("with names are each tried for a token without one, which is judged for the rest as ever", async () => {
    issuer.published = [first, second].map((key) => [key, key.kid]);
    const identify = identifyWith();
    expect(await identify(await issuer.sign(nameless(second)))).toEqual(alice);
    const expired = { ...nameless(second), claims: { exp: 1 } };
    expect(await identify(await issuer.sign(expired))).toEqual({ refused: "the token has expired" });
  });
});

describe("after a rotation", () => {
  test.each([
    ["without a name", undefined],
    ["with the name of the old one", "k1"],
  ])("a key %s is fetched anew, and the old one ends", async (_how, kid) => {
    issuer.published = [[first, kid]];
    const identify = identifyWith({ keysCooldownMs: 0 });
    const old = await issuer.sign({ key: first, header: { kid } });
    expect(await identify(old)).toEqual(alice);
    issuer.published = [[second, kid]];
    expect(await identify(await issuer.sign({ key: second, header: { kid } }))).toEqual(alice);
    expect(await identify(old)).toEqual({ refused: "the token's signature is wrong" });
  });

  test("no flood of forged tokens becomes one of fetches", async () => {
    issuer.published = [[first, undefined]];
    const identify = identifyWith();
    expect(await identify(await issuer.sign(nameless(first)))).toEqual(alice);
    const forged = await issuer.sign(nameless(third));
    for (let attempt = 0; attempt < 10; attempt++) expect(await identify(forged)).toHaveProperty("refused");
    expect(issuer.asked).toHaveLength(2);
  });

  test("nobody knows while the issuer is away, and the caller is to try again", async () => {
    issuer.published = [[first, undefined]];
    const identify = identifyWith({ keysCooldownMs: 0 });
    expect(await identify(await issuer.sign(nameless(first)))).toEqual(alice);
    issuer.mood = "away";
    await expect(identify(await issuer.sign(nameless(second)))).rejects.toThrow(IssuerAwayError);
  });
});

describe("a role claim", () => {
  const url = "https://bmaas.example/roles";
  test.each([
    ["with dots in its name", url, { [url]: ["sre"] }],
    ["with dots in its name, inside an object", `app.${url}`, { app: { [url]: ["sre"] } }],
    ["with dots in the object's name", "bmaas.example.roles", { "bmaas.example": { roles: ["sre"] } }],
    ["with dots at both levels", "a.b.c.d", { "a.b": { "c.d": "sre" } }],
    ["whose longest name counts", "a.b.c", { a: { b: { c: "other" } }, "a.b": { c: "sre" } }],
    ["whose longest name leads nowhere", "a.b.c", { "a.b": { x: "other" }, a: { b: { c: "sre" } } }],
    ["whose values are an object's names", "roles", { roles: { sre: { orgs: ["o"] }, x: {} } }],
    ["whose value has a comma", "roles", { roles: ["CN=sre,OU=ops"] }, "CN=sre,OU=ops"],
  ])("%s is read", async (_what, roleClaim, claims, value = "sre") => {
    issuer.published = undefined;
    expect(await identifyWith({}, roleClaim, value)(await issuer.sign({ claims }))).toEqual(alice);
  });

  test.each([
    ["whose object denies the role", "roles", { roles: { sre: false } }],
    ["whose object holds the role deeper", "roles", { roles: { x: { sre: true } } }],
    ["whose list holds objects", "roles", { roles: [{ sre: true }] }],
    ["that only an object's prototype has", "constructor.name", {}],
    ["where a text stands", "roles.length", { roles: "sre" }],
  ])("%s gives nothing", async (_what, roleClaim, claims) => {
    issuer.published = undefined;
    const holder = await identifyWith({}, roleClaim, "sre")(await issuer.sign({ claims }));
    expect(holder).toEqual({ actor: "oidc:alice", role: undefined });
  });
});
