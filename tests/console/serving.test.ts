/** How the operators' listener serves the console, and what it leaves as it was. */

import { globSync, readFileSync } from "node:fs";
import { connect } from "node:http2";
import { join, resolve } from "node:path";
import { gzipSync } from "node:zlib";
import { createServer } from "vite";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { provideConsole } from "../../tools/clone-console.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { callHttp2 } from "../support/raw-connection.ts";
import { startTestServer, type TestServer } from "../support/server.ts";

let folder: string;
let database: TestDatabase;
let server: TestServer;

beforeAll(async () => {
  folder = await provideConsole();
  database = await createTestDatabase();
  server = await startTestServer(database.url);
});
afterAll(async () => {
  await server?.close();
  await database?.close();
});

const html = { accept: "text/html,application/xhtml+xml" };
const get = (path: string, headers: Record<string, string> = {}) => fetch(server.adminUrl + path, { headers });

test.each(["/", "/machines", "/machines/00000000-0000-4000-8000-000000000000?x=1", "/signed-in?code=a"])(
  "%s is the page, which nobody may store",
  async (path) => {
    const answer = await get(path, html);
    expect([answer.status, answer.headers.get("content-type")]).toEqual([200, "text/html; charset=utf-8"]);
    expect(await answer.text()).toContain('<div id="root">');
    expect(answer.headers.get("cache-control")).toBe("no-store");
    expect(answer.headers.get("etag")).toBeNull();
  },
);

test("the policy for content allows nothing inline, no other host and no frame", async () => {
  const { headers } = await get("/", html);
  const policy = headers.get("content-security-policy") ?? "";
  expect(policy).toContain("default-src 'none'");
  expect(policy).toContain("frame-ancestors 'none'");
  expect(policy).toContain("connect-src 'self';");
  expect(policy).not.toMatch(/unsafe|\*|https?:/);
  expect(headers.get("x-content-type-options")).toBe("nosniff");
  expect(headers.get("referrer-policy")).toBe("no-referrer");
});

test("files are immutable, compressed where the browser takes it, and the same over HTTP/2", async () => {
  const script = /src="(\/assets\/[^"]+\.js)"/.exec(await (await get("/", html)).text())?.[1] ?? "";
  const answer = await get(script, { "accept-encoding": "br" });
  expect(answer.status).toBe(200);
  expect(answer.headers.get("cache-control")).toBe("public, max-age=31536000, immutable");
  expect(answer.headers.get("content-encoding")).toBe("br");
  expect(answer.headers.get("content-type")).toMatch(/javascript; charset=utf-8$/);
  expect(await answer.text()).toBe(readFileSync(join(folder, script), "utf8"));
  const session = connect(server.adminUrl);
  const second = await callHttp2(session, { ":method": "GET", ":path": script, "content-type": "" }, (stream) =>
    stream.end(),
  );
  session.destroy();
  expect([second.status, second.body.toString()]).toEqual([200, readFileSync(join(folder, script), "utf8")]);
});

test.each([
  ["/assets/%2e%2e%2findex.html"],
  ["/assets/..%2f..%2fconsole.json"],
  ["/assets/none.js"],
  ["/.vite/manifest.json"],
  ["/bmaas.admin.v1.FleetService/None"],
  ["/machines"],
])("%s is answered as without a console when it is no page", async (path) => {
  const answer = await get(path);
  expect([answer.status, answer.headers.get("content-type")]).toEqual([404, "application/json"]);
  expect(await answer.json()).toMatchObject({ code: "unimplemented" });
});

test("the paths of calls are answered as calls, also when a browser opens them", async () => {
  const unknown = await get("/bmaas.admin.v1.None/None", html);
  expect([unknown.status, await unknown.json()]).toMatchObject([404, { code: "unimplemented" }]);
  const known = await get("/bmaas.admin.v1.FleetService/GetFleet", html);
  expect([known.status, known.headers.get("content-type")]).not.toContain("text/html; charset=utf-8");
  for (const path of ["/healthz", "/readyz", "/metrics"]) {
    expect((await get(path, html)).headers.get("content-type")).not.toContain("text/html");
  }
  const post = await fetch(`${server.adminUrl}/`, { method: "POST", body: "{}" });
  expect(post.status).toBe(404);
});

test("what the page must know before anybody has signed in holds no secret", async () => {
  const answer = await get("/console.json");
  expect(answer.headers.get("cache-control")).toBe("no-store");
  expect(await answer.json()).toEqual({ version: "0.1.0", build: expect.stringMatching(/^[0-9a-f]{16}$/), oidc: null });
});

test("with a client of the issuer it names both, and the policy allows calls to the issuer", async () => {
  await using other = await startTestServer(database.url, {
    BMAAS_OIDC_ISSUER: "https://id.example.org/realms/ops",
    BMAAS_OIDC_AUDIENCE: "bmaas",
    BMAAS_OIDC_ROLES: "viewer=*",
    BMAAS_OIDC_CLIENT_ID: "bmaas-console",
  });
  const answer = await fetch(`${other.adminUrl}/console.json`);
  const oidc = { issuer: "https://id.example.org/realms/ops", clientId: "bmaas-console" };
  expect(await answer.json()).toMatchObject({ oidc });
  expect(answer.headers.get("content-security-policy")).toContain("connect-src 'self' https://id.example.org;");
});

test("BMAAS_CONSOLE=off takes it away", async () => {
  await using other = await startTestServer(database.url, { BMAAS_CONSOLE: "off" });
  for (const path of ["/", "/machines", "/console.json", "/assets/a.js"]) {
    const answer = await fetch(other.adminUrl + path, { headers: html });
    expect([path, answer.status, answer.headers.get("content-type")]).toEqual([path, 404, "application/json"]);
  }
});

test("npm run console serves the sources, and hands calls on to the server", async () => {
  process.env.BMAAS_ADMIN_URL = server.adminUrl;
  const vite = await createServer({
    configFile: resolve("console/vite.config.ts"),
    server: { port: 0, host: "127.0.0.1" },
    logLevel: "error",
  });
  try {
    await vite.listen();
    const url = vite.resolvedUrls?.local[0]?.replace(/\/$/, "") ?? "";
    expect(await (await fetch(`${url}/machines`, { headers: html })).text()).toContain("/src/main.tsx");
    expect((await fetch(`${url}/src/main.tsx`)).status).toBe(200);
    expect(await (await fetch(`${url}/console.json`)).json()).toMatchObject({ oidc: null });
    const call = await fetch(`${url}/bmaas.admin.v1.TokenService/GetCaller`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: "{}",
    });
    expect([call.status, await call.json()]).toMatchObject([401, { code: "unauthenticated" }]);
  } finally {
    delete process.env.BMAAS_ADMIN_URL;
    await vite.close();
  }
});

describe("the build", () => {
  test("is made anew when any source changes: also a style that another imports, and what lies outside", () => {
    const { stamps } = JSON.parse(readFileSync("node_modules/.cache/bmaas/console.json", "utf8")) as {
      readonly stamps: Readonly<Record<string, string>>;
    };
    const sources = globSync("console/src/**/*.*");
    expect(sources.length).toBeGreaterThan(100);
    expect(sources.filter((file) => !Object.hasOwn(stamps, file))).toEqual([]);
    const outside = ["console/index.html", "docs/issues.md", "src/contract/machine-selector.ts", "package.json"];
    expect(outside.filter((file) => !Object.hasOwn(stamps, file))).toEqual([]);
  });

  interface Chunk {
    readonly file: string;
    readonly isEntry?: boolean;
    readonly imports?: readonly string[];
  }

  test("loads at most 180 KB of compressed JavaScript for the first page", async () => {
    const manifest = JSON.parse(readFileSync(join(folder, ".vite/manifest.json"), "utf8")) as Record<string, Chunk>;
    const [entry] = Object.keys(manifest).filter((name) => manifest[name]?.isEntry === true);
    const first = Object.keys(manifest).find((name) => name.endsWith("overview-page.tsx"));
    const wanted = new Set([entry, first]);
    for (const name of wanted) for (const each of manifest[name ?? ""]?.imports ?? []) wanted.add(each);
    const files = [...wanted].map((name) => manifest[name ?? ""]?.file ?? "");
    expect(files.length).toBeGreaterThan(1);
    const bytes = files.reduce((sum, file) => sum + gzipSync(readFileSync(join(folder, file)), { level: 9 }).length, 0);
    expect(bytes).toBeLessThan(180_000);
  });
});
