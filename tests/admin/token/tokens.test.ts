/** Tokens: made, listed, revoked, and what their secrets open. */
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import { sql } from "drizzle-orm";
import { expect, test } from "vitest";
import { Role } from "../../../gen/bmaas/admin/v1/role_pb.js";
import { TokenService } from "../../../gen/bmaas/admin/v1/token_service_pb.js";
import { ErrorInfoSchema, PreconditionFailureSchema } from "../../../gen/google/rpc/error_details_pb.js";
import { codeOf } from "../../support/agents.ts";
import { createTestDatabase } from "../../support/database.ts";
import { adminClient, tokenOf } from "../../support/operator.ts";
import { startServerWithDatabase, startTestServer } from "../../support/server.ts";

const { database, server } = await startServerWithDatabase();
const admin = await tokenOf(database.db, "admin");
const tokens = clientOf(admin.secret);

function clientOf(secret: string, url = server.adminUrl) {
  return adminClient(TokenService, url, secret);
}

async function errorOf(call: Promise<unknown>): Promise<ConnectError> {
  return await call.then(
    () => {
      throw new Error("it succeeded");
    },
    (error: unknown) => ConnectError.from(error),
  );
}

test("a new token opens what its role opens, is stored without its secret, and says who made it", async () => {
  const { token, secret } = await tokens.createToken({ name: "ci.deploy@build-1", role: Role.OPERATOR });
  expect(token).toMatchObject({ name: "ci.deploy@build-1", role: Role.OPERATOR, creator: `token:${admin.name}` });
  expect(token?.expireTime).toBeUndefined();
  expect(await clientOf(secret).getCaller({})).toMatchObject({
    actor: "token:ci.deploy@build-1",
    role: Role.OPERATOR,
  });
  expect(await codeOf(clientOf(secret).listTokens({}))).toBe("PermissionDenied");
  const { rows } = await database.db.execute(sql`select admin_token::text as row from admin_token`);
  expect(JSON.stringify(rows)).toContain("ci.deploy@build-1");
  expect(secret).toMatch(/^bmaas_[0-9a-f]{16}_[\w-]{43}$/);
  expect(JSON.stringify([rows, server.logged])).not.toContain(secret.slice(-43));
  const created = server.logged.find((line) => line.msg === "a token was created");
  expect(created).toMatchObject({ tokenId: token?.id, actor: `token:${admin.name}`, requestId: expect.any(String) });
});

test.each([
  ["a name of nothing", { name: "", role: Role.VIEWER }],
  ["a name with a space", { name: "a b", role: Role.VIEWER }],
  ["a name too long", { name: "a".repeat(65), role: Role.VIEWER }],
  ["the server's own name", { name: "bootstrap", role: Role.VIEWER }],
  ["no role", { name: "no-role" }],
  ["a role that is none", { name: "no-role", role: 9 as Role }],
  ["an end in the past", { name: "past", role: Role.VIEWER, expireTime: timestampFromMs(Date.now() - 1000) }],
  ["a request id that is no UUID", { name: "id", role: Role.VIEWER, requestId: "1" }],
])("refuses to make a token with %s", async (_what, request) => {
  expect(await codeOf(tokens.createToken(request))).toBe("InvalidArgument");
});

test("a name is in use by one token only, until that is revoked or has expired", async () => {
  const first = await tokens.createToken({ name: "shared", role: Role.VIEWER });
  const error = await errorOf(tokens.createToken({ name: "shared", role: Role.ADMIN }));
  expect(error.code).toBe(Code.AlreadyExists);
  expect(error.findDetails(ErrorInfoSchema)[0]).toMatchObject({
    reason: "TOKEN_NAME_IN_USE",
    metadata: { token_id: first.token?.id },
  });
  await tokens.revokeToken({ tokenId: first.token?.id ?? "" });
  const second = await tokens.createToken({ name: "shared", role: Role.VIEWER });
  await database.db.execute(sql`update admin_token set expires_at = now() where id = ${second.token?.id}`);
  const third = await tokens.createToken({ name: "shared", role: Role.VIEWER });
  expect(third.token?.id).not.toBe(second.token?.id);
  const { rows } = await database.db.execute(
    sql`select id from admin_token where name = 'shared' and revoked_at is null`,
  );
  expect(rows).toEqual([{ id: third.token?.id }]);
});

test("of many who take a name at once, one gets it", async () => {
  const codes = await Promise.all(
    Array.from({ length: 8 }, () =>
      tokens.createToken({ name: "contested", role: Role.VIEWER }).then(
        () => "ok",
        (error: unknown) => ConnectError.from(error).code,
      ),
    ),
  );
  expect(codes.filter((code) => code === "ok")).toHaveLength(1);
  expect(codes.filter((code) => code === Code.AlreadyExists)).toHaveLength(7);
});

test("a repeated call makes no second token and tells no secret", async () => {
  const request = { name: "repeated", role: Role.VIEWER, requestId: crypto.randomUUID() };
  const { token, secret } = await tokens.createToken(request);
  const error = await errorOf(tokens.createToken(request));
  expect(error.code).toBe(Code.AlreadyExists);
  expect(error.findDetails(ErrorInfoSchema)[0]).toMatchObject({
    reason: "TOKEN_MADE_BEFORE",
    metadata: { token_id: token?.id },
  });
  expect(JSON.stringify(error)).not.toContain(secret);
  expect(await codeOf(tokens.createToken({ ...request, role: Role.ADMIN }))).toBe("InvalidArgument");
  const { rows } = await database.db.execute(
    sql`select encode(response, 'escape') as response from admin_request where request_id = ${request.requestId}`,
  );
  expect(rows).toHaveLength(1);
  expect(JSON.stringify(rows)).toContain("repeated");
  expect(JSON.stringify(rows)).not.toContain(secret.slice(-43));
});

test("a revoked token ends at once, on every server, for good; revoking it again changes nothing", async () => {
  await using other = await startTestServer(database.url);
  const { token, secret } = await tokens.createToken({ name: "leaving", role: Role.ADMIN });
  const tokenId = token?.id ?? "";
  expect(await clientOf(secret, other.adminUrl).getCaller({})).toMatchObject({ actor: "token:leaving" });
  const revoked = await tokens.revokeToken({ tokenId });
  expect(revoked.token).toMatchObject({ id: tokenId, revoker: `token:${admin.name}` });
  expect(await codeOf(clientOf(secret, other.adminUrl).getCaller({}))).toBe("Unauthenticated");
  expect(await codeOf(clientOf(secret).getCaller({}))).toBe("Unauthenticated");
  const again = await tokens.revokeToken({ tokenId, force: true });
  expect(again.token?.revokeTime).toEqual(revoked.token?.revokeTime);
  const lines = server.logged.filter((line) => line.msg === "a token was revoked" && line.tokenId === tokenId);
  expect(lines).toMatchObject([{ actor: `token:${admin.name}` }]);
  expect(await codeOf(tokens.revokeToken({ tokenId: "0123456789abcdef" }))).toBe("NotFound");
});

test("an expired token opens nothing", async () => {
  const expireTime = timestampFromMs(Date.now() + 3_600_000);
  const { token, secret } = await tokens.createToken({ name: "short", role: Role.VIEWER, expireTime });
  expect(token?.expireTime).toEqual(expireTime);
  expect(await codeOf(clientOf(secret).getCaller({}))).toBe("ok");
  await database.db.execute(sql`update admin_token set expires_at = now() where id = ${token?.id}`);
  const error = await errorOf(clientOf(secret).getCaller({}));
  expect([error.code, error.rawMessage]).toEqual([Code.Unauthenticated, "the token has expired"]);
});

test("lists tokens newest first, page by page, ended ones only when asked", async () => {
  const made: string[] = [];
  for (const name of ["page-1", "page-2", "page-3", "page-4"]) {
    made.push((await tokens.createToken({ name, role: Role.VIEWER })).token?.id ?? "");
  }
  // As many could be made within one microsecond: the id decides then.
  await database.db.execute(sql`update admin_token set created_at = now() where name like 'page-%'`);
  await tokens.revokeToken({ tokenId: made[1] ?? "" });
  const listed = await listAll({ showEnded: true, pageSize: 1 });
  const newest = listed.slice(0, 4).map(({ id }) => id);
  expect(newest).toEqual(made.toSorted().reverse());
  expect(new Set(listed.map(({ id }) => id)).size).toBe(listed.length);
  const { rows } = await database.db.execute(sql`select id from admin_token`);
  expect(listed).toHaveLength(rows.length);
  const inUse = await listAll({ showEnded: false, pageSize: 2 });
  expect(inUse.every((token) => token.revokeTime === undefined)).toBe(true);
  expect(inUse.map(({ id }) => id)).not.toContain(made[1]);
  const { nextPageToken } = await tokens.listTokens({ pageSize: 1 });
  expect(await codeOf(tokens.listTokens({ pageSize: 1, pageToken: nextPageToken, showEnded: true }))).toBe(
    "InvalidArgument",
  );
  expect(await codeOf(tokens.listTokens({ pageToken: "AAAA" }))).toBe("InvalidArgument");
});

async function listAll(request: { showEnded: boolean; pageSize: number }) {
  const all = [];
  let pageToken = "";
  do {
    const page = await tokens.listTokens({ ...request, pageToken });
    expect(page.tokens.length).toBeLessThanOrEqual(request.pageSize);
    all.push(...page.tokens);
    pageToken = page.nextPageToken;
  } while (pageToken !== "");
  return all;
}

test("the last valid token of an administrator stays unless told, also when two revoke each other's", async () => {
  const own = await createTestDatabase();
  await using alone = await startTestServer(own.url);
  try {
    const [one, other] = [await tokenOf(own.db, "admin"), await tokenOf(own.db, "admin")];
    await own.db.execute(sql`update admin_token set revoked_at = now(), revoked_by = 'test' where name = 'bootstrap'`);
    await own.db.execute(sql`insert into admin_token (id, name, role, secret_hash, created_by, expires_at)
      select '00000000000000ee', 'expired', 'admin', sha256('x'), 'test', now()`);
    const idOf = (secret: string) => ({ tokenId: secret.split("_")[1] ?? "" });
    const results = await Promise.allSettled([
      clientOf(one.secret, alone.adminUrl).revokeToken(idOf(other.secret)),
      clientOf(other.secret, alone.adminUrl).revokeToken(idOf(one.secret)),
    ]);
    expect(results.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    const last = results[0]?.status === "fulfilled" ? one : other;
    const client = clientOf(last.secret, alone.adminUrl);
    const error = await errorOf(client.revokeToken(idOf(last.secret)));
    expect(error.code).toBe(Code.FailedPrecondition);
    expect(error.findDetails(PreconditionFailureSchema)[0]?.violations).toMatchObject([
      { type: "LAST_ADMIN_TOKEN", subject: `tokens/${idOf(last.secret).tokenId}` },
    ]);
    expect(await codeOf(client.revokeToken({ tokenId: "00000000000000ee" }))).toBe("ok");
    expect(await codeOf(client.revokeToken({ ...idOf(last.secret), force: true }))).toBe("ok");
    expect(await codeOf(client.getCaller({}))).toBe("Unauthenticated");
  } finally {
    await alone.close();
    await own.close();
  }
});
