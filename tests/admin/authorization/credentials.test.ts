/** Wrong credentials: what callers are told, how often they may try, and what the log says of it. */
import { ConnectError } from "@connectrpc/connect";
import { sql } from "drizzle-orm";
import { expect, test } from "vitest";
import { TokenService } from "../../../gen/bmaas/admin/v1/token_service_pb.js";
import { RetryInfoSchema } from "../../../gen/google/rpc/error_details_pb.js";
import { createCredentialsCheck, failureRule } from "../../../src/admin/authorization/check-credentials.ts";
import { createTokenIdentify } from "../../../src/admin/authorization/identify-token.ts";
import { createSecret } from "../../../src/admin/authorization/token-secret.ts";
import { codeOf } from "../../support/agents.ts";
import { adminClient, tokenOf } from "../../support/operator.ts";
import { type LogLine, startServerWithDatabase, startTestServer } from "../../support/server.ts";
import { startTcpProxy } from "../../support/tcp-proxy.ts";
import { waitUntil } from "../../support/wait.ts";

const { database, server } = await startServerWithDatabase();
const path = "/bmaas.admin.v1.TokenService/GetCaller";

/** Calls as whoever can send the header `authorization`, from an address of a proxy's choosing. */
function call(url: string, authorization: string | undefined, from = "192.0.2.1") {
  const headers = { "content-type": "application/json", "x-forwarded-for": from };
  return fetch(url + path, {
    method: "POST",
    headers: { ...headers, ...(authorization && { authorization }) },
    body: "{}",
  });
}

async function callMany(url: string, authorizations: readonly string[], from?: string): Promise<number[]> {
  const answers = await Promise.all(authorizations.map((authorization) => call(url, authorization, from)));
  return answers.map(({ status }) => status);
}

const wrongTokens = (count: number) => Array.from({ length: count }, () => `Bearer ${createSecret().secret}`);
const count = <T>(values: readonly T[], value: T) => values.filter((other) => other === value).length;

/** Behind a proxy, so that a test can come from anywhere. */
async function startProxied() {
  return await startTestServer(database.url, { BMAAS_ADMIN_BEHIND_PROXY: "on" });
}

test.each([
  [undefined, "Bearer", /no token was sent/],
  ["Basic YTpi", 'Bearer error="invalid_token"', /no bearer token/],
  ["Bearer", 'Bearer error="invalid_token"', /no bearer token/],
  ["Bearer a b", 'Bearer error="invalid_token"', /no bearer token/],
  [`Bearer ${"a".repeat(8193)}`, 'Bearer error="invalid_token"', /no bearer token/],
  ["Bearer hunter2", 'Bearer error="invalid_token"', /is unknown/],
  ["Bearer a.b.c", 'Bearer error="invalid_token"', /is unknown/],
  [`bearer ${createSecret().secret}`, 'Bearer error="invalid_token"', /is unknown/],
])("%j is answered with a challenge and a reason", async (authorization, challenge, reason) => {
  const answer = await call(server.adminUrl, authorization);
  expect([answer.status, answer.headers.get("www-authenticate")]).toEqual([401, challenge]);
  expect(await answer.json()).toMatchObject({ code: "unauthenticated", message: expect.stringMatching(reason) });
});

test("a token of ours with another's random part is refused, as is one that is cut", async () => {
  const { secret } = await tokenOf(database.db, "admin");
  const other = createSecret().secret;
  const mixed = secret.slice(0, -43) + other.slice(-43);
  for (const wrong of [mixed, secret.slice(0, -1), `${secret}A`, secret.toUpperCase()]) {
    expect(await codeOf(adminClient(TokenService, server.adminUrl, wrong).getCaller({})), wrong).toBe(
      "Unauthenticated",
    );
  }
  expect(await codeOf(adminClient(TokenService, server.adminUrl, secret).getCaller({}))).toBe("ok");
});

test("who guesses is sent away after some attempts, also when all come at once, and told for how long", async () => {
  await using proxied = await startProxied();
  const statuses = await callMany(proxied.adminUrl, wrongTokens(failureRule.burst * 3));
  expect(count(statuses, 401)).toBeGreaterThanOrEqual(failureRule.burst);
  expect(count(statuses, 401)).toBeLessThan(failureRule.burst * 2);
  expect(count(statuses, 401) + count(statuses, 429)).toBe(statuses.length);
  // On a slow machine one more attempt has become free by now.
  const answer = await waitUntil("the next one is sent away", async () => {
    const next = await call(proxied.adminUrl, wrongTokens(1)[0]);
    return next.status === 429 && next;
  });
  expect(Number(answer.headers.get("retry-after"))).toBeGreaterThan(0);
  const client = adminClient(TokenService, proxied.adminUrl, createSecret().secret);
  const refused = client.getCaller({}, { headers: { "x-forwarded-for": "192.0.2.1" } });
  const error = await refused.then(
    () => undefined,
    (caught: unknown) => ConnectError.from(caught),
  );
  expect(error?.findDetails(RetryInfoSchema)[0]?.retryDelay?.seconds).toBeGreaterThan(0n);
});

test("guesses with the same token count as well", async () => {
  await using proxied = await startProxied();
  const statuses = await callMany(proxied.adminUrl, Array(60).fill(wrongTokens(1)[0]));
  expect(count(statuses, 429)).toBeGreaterThan(0);
});

test("others are let in all the while, and so is who was known at the guesser's address", async () => {
  // Without a server, so that no attempt becomes free while the test runs.
  const rule = { burst: 5, secondsPerAttempt: 3600, maxParties: 10 };
  const check = createCredentialsCheck(createTokenIdentify(database.db), rule);
  const outcomeOf = (authorization: string | undefined, address: string) =>
    check(authorization ?? null, address).then(
      ({ actor }) => actor,
      (error: Error) => error.name,
    );
  const [known, fresh] = [await tokenOf(database.db, "viewer"), await tokenOf(database.db, "viewer")];
  expect(await outcomeOf(`Bearer ${known.secret}`, "2001:db8::1")).toBe(`token:${known.name}`);
  // A guesser has a whole /64 to move in.
  const guesses = await Promise.all(wrongTokens(20).map((token, index) => outcomeOf(token, `2001:db8::${index + 2}`)));
  expect(count(guesses, "RefusedCredentialsError")).toBe(rule.burst);
  expect(count(guesses, "TooManyAttemptsError")).toBe(20 - rule.burst);
  expect(await outcomeOf("Basic YTpi", "2001:db8::2")).toBe("TooManyAttemptsError");
  expect(await outcomeOf(`Bearer ${fresh.secret}`, "2001:db8::2")).toBe("TooManyAttemptsError");
  expect(await outcomeOf(`Bearer ${fresh.secret}`, "2001:db8:0:1::2")).toBe(`token:${fresh.name}`);
  expect(await outcomeOf(`Bearer ${known.secret}`, "2001:db8::2")).toBe(`token:${known.name}`);
  await database.db.execute(
    sql`update admin_token set revoked_at = now(), revoked_by = 'x' where name = ${known.name}`,
  );
  expect(await outcomeOf(`Bearer ${known.secret}`, "2001:db8::2")).toBe("RefusedCredentialsError");
  expect(await outcomeOf(`Bearer ${known.secret}`, "2001:db8::2")).toBe("TooManyAttemptsError");
});

test("a good token costs no attempts, also when its first calls come many at once", async () => {
  await using proxied = await startProxied();
  const { secret } = await tokenOf(database.db, "viewer");
  const statuses = await callMany(proxied.adminUrl, Array(100).fill(`Bearer ${secret}`));
  expect(count(statuses, 200)).toBe(100);
  const wrong = await callMany(proxied.adminUrl, wrongTokens(failureRule.burst));
  expect(count(wrong, 401)).toBe(failureRule.burst);
});

test("calls without a token never count", async () => {
  await using proxied = await startProxied();
  for (let attempt = 0; attempt < 100; attempt++) expect((await call(proxied.adminUrl, undefined)).status).toBe(401);
  const { secret } = await tokenOf(database.db, "viewer");
  expect((await call(proxied.adminUrl, `Bearer ${secret}`)).status).toBe(200);
});

test("without a proxy nobody can choose an address", async () => {
  await using direct = await startTestServer(database.url);
  const statuses = [];
  for (const [index, token] of wrongTokens(failureRule.burst + 10).entries()) {
    statuses.push((await call(direct.adminUrl, token, `192.0.2.${index}`)).status);
  }
  expect(count(statuses, 429)).toBeGreaterThan(0);
});

test("while the database is away nobody's token is wrong, and no attempt is counted", async () => {
  await using proxy = await startTcpProxy(database.url);
  await using cut = await startTestServer(proxy.url);
  const { secret } = await tokenOf(database.db, "viewer");
  await proxy.setMode("refuse");
  const away = [];
  for (let attempt = 0; attempt < failureRule.burst + 5; attempt++)
    away.push((await call(cut.adminUrl, `Bearer ${secret}`)).status);
  expect(new Set(away)).toEqual(new Set([503]));
  await proxy.setMode("pass");
  await expect.poll(async () => (await call(cut.adminUrl, `Bearer ${secret}`)).status).toBe(200);
});

test("the log names address and reason, never a token, and cannot be flooded", async () => {
  await using proxied = await startProxied();
  const { secret } = await tokenOf(database.db, "viewer");
  const tokens = [...wrongTokens(300), ...Array(100).fill(undefined)];
  for (const token of tokens) await call(proxied.adminUrl, token, "203.0.113.9");
  const lines = proxied.logged.filter(({ msg }) => msg === "call");
  const warnings = lines.filter(({ level }) => level === 40);
  expect(lines).toHaveLength(tokens.length);
  expect(warnings[0]).toEqual({
    level: 40,
    time: expect.any(Number),
    msg: "call",
    method: "bmaas.admin.v1.TokenService/GetCaller",
    protocol: "connect",
    code: "unauthenticated",
    reason: "the token is unknown",
    address: "203.0.113.9",
    requestId: expect.any(String),
    durationMs: expect.any(Number),
  });
  expect(warnings.length).toBeGreaterThanOrEqual(20);
  expect(warnings.length).toBeLessThan(80);
  expect(lines.filter(({ level }) => level === 30)).toEqual([]);
  await call(proxied.adminUrl, wrongTokens(1)[0], "203.0.113.10");
  const last = proxied.logged.findLast(({ msg }: LogLine) => msg === "call");
  expect(last).toMatchObject({ level: 40, unlogged: expect.any(Number) });
  await call(proxied.adminUrl, `Bearer ${secret}`, "203.0.113.11");
  const text = JSON.stringify(proxied.logged);
  for (const token of [...tokens, secret]) if (token !== undefined) expect(text).not.toContain(token.slice(-43));
});
