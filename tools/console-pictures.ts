/**
 * `npm run console:pictures` takes pictures of each page of the console, wide and narrow, in light and dark, into
 * docs/console/. It starts a PostgreSQL and a server of its own with an invented fleet. `--only NAME` takes those of
 * one page, and `--database URL` fills and uses an empty database instead.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import pg from "pg";
import { pino } from "pino";
import type { Page } from "playwright-core";
import { startBenchPostgres } from "../bench/end-to-end/fleet-databases.ts";
import { createLargeFleet } from "../bench/measure/large-fleet.ts";
import { serveEnvironment } from "../bench/measure/serve-command.ts";
import { startServer } from "../bench/measure/server-process.ts";
import { JoinTokenService } from "../gen/bmaas/admin/v1/join_token_service_pb.js";
import { ReceiverService } from "../gen/bmaas/admin/v1/receiver_service_pb.js";
import { Role } from "../gen/bmaas/admin/v1/role_pb.js";
import { TokenService } from "../gen/bmaas/admin/v1/token_service_pb.js";
import { connectOperator } from "../src/cli/operator/admin-client.ts";
import { loadConfig } from "../src/config/config.ts";
import { migrateDatabase } from "../src/db/migrate.ts";
import { launchChromium } from "../tests/support/chromium.ts";
import { provideConsole } from "./clone-console.ts";
import { toPalettePng } from "./palette-png.ts";

const { values } = parseArgs({ options: { only: { type: "string" }, database: { type: "string" } } });

const machines = 2_000;
const target = fileURLToPath(new URL("../docs/console/", import.meta.url));

const views = [
  ["wide", { width: 1200, height: 760 }],
  ["narrow", { width: 360, height: 720 }],
] as const;
const themes = ["light", "dark"] as const;

/** Pages by the names of their pictures; a machine's is one that needs somebody. */
const pages: Readonly<Record<string, (overdue: string) => string>> = {
  overview: () => "/",
  machines: () => "/machines",
  machine: (overdue) => `/machines/${overdue}`,
  installations: () =>
    "/installations?filter=state%3Dinstalling&filter=state%3Doverdue&filter=state%3Dpending&filter=state%3Dfailed",
  issues: () => "/issues",
  enrolments: () => "/enrolments",
  holds: () => "/holds",
  tokens: () => "/tokens",
  "join-tokens": () => "/join-tokens",
  receivers: () => "/receivers",
  server: () => "/server",
};

/** Gives the fleet of benchmarks places that sound like some, and machines with which something is wrong. */
const decorate = `
  update provided set provider = (array['equinix', 'hetzner', 'ovh', 'leaseweb'])[1 + hashtext(provider) & 3],
                      location = (array['am6', 'fra2', 'hel1', 'gra3', 'dc5'])[1 + abs(hashtext(location)) % 5];
`;

await using resources = new AsyncDisposableStack();
const folder = mkdtempSync(join(tmpdir(), "bmaas-pictures-"));
resources.defer(() => rmSync(folder, { recursive: true, force: true }));
await provideConsole();
const databaseUrl = values.database ?? (await resources.use(await startBenchPostgres()).createDatabase("pictures"));
const overdue = await fill(databaseUrl);
const { adminUrl, token } = await serve();
await furnish();
const browser = resources.adopt(await launchChromium(), (each) => each.close());
mkdirSync(target, { recursive: true });
for (const [size, viewport] of views) {
  for (const colorScheme of themes) {
    const context = await browser.newContext({ viewport, colorScheme, locale: "en-GB", timezoneId: "Europe/Berlin" });
    const page = await context.newPage();
    await page.goto(adminUrl);
    await page.getByRole("button", { name: "Sign in", exact: true }).waitFor();
    await take(page, "sign-in", size, colorScheme);
    await page.getByLabel("Token").fill(token);
    await page.getByLabel("Keep me signed in").check();
    await page.getByRole("button", { name: "Sign in", exact: true }).click();
    await page.getByText("● live").waitFor();
    for (const [name, toPath] of Object.entries(pages)) {
      if (values.only !== undefined && values.only !== name) continue;
      await page.goto(adminUrl + toPath(overdue));
      await settle(page);
      await take(page, name, size, colorScheme);
    }
    await context.close();
  }
}

async function fill(url: string): Promise<string> {
  await migrateDatabase(url, pino({ level: "silent" }));
  await createLargeFleet(url, machines);
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(decorate);
    const { rows } = await client.query<{ id: string }>(
      "select machine_id as id from os_installation_request where due_at < now() and finished_at is null limit 1",
    );
    return rows[0]?.id ?? "";
  } finally {
    await client.end();
  }
}

async function serve() {
  const readLine = (line: string) =>
    line.startsWith("{") ? (JSON.parse(line) as { adminUrl?: string }).adminUrl : undefined;
  const server = resources.use(
    await startServer({
      ...{ program: fileURLToPath(new URL("../src/main.ts", import.meta.url)), args: ["serve"], readLine },
      environment: { ...serveEnvironment, BMAAS_HOME: folder, DATABASE_URL: databaseUrl },
    }),
  );
  return { adminUrl: server.said, token: readFileSync(join(folder, "admin.token"), "utf8").trim() };
}

/** Creates what the pages list besides machines. */
async function furnish(): Promise<void> {
  const operator = await connectOperator(loadConfig({ BMAAS_ADMIN_URL: adminUrl, BMAAS_ADMIN_TOKEN: token }));
  for (const [name, role] of [
    ["alice", Role.ADMIN],
    ["ci", Role.OPERATOR],
    ["wall", Role.VIEWER],
  ] as const) {
    await operator.client(TokenService).createToken({ name, role });
  }
  const expireTime = { seconds: BigInt(Math.floor(Date.now() / 1_000) + 86_400), nanos: 0 };
  const joinToken = { maxUses: 40, expireTime, provider: "equinix", location: "am6", labels: { rack: "r12" } };
  await operator.client(JoinTokenService).createJoinToken(joinToken);
  await operator.client(JoinTokenService).createJoinToken({ maxUses: 1, expireTime, requiresApproval: true });
  const receiver = { name: "oncall", url: "https://hooks.example.com/bmaas", events: ["installation.*", "issue.*"] };
  await operator.client(ReceiverService).createReceiver(receiver);
}

/** Waits until nothing on the page is being loaded. */
async function settle(page: Page): Promise<void> {
  await page.getByText("● live").waitFor();
  await page.waitForFunction(() => !/Loading|Asking the server/.test(document.body.textContent));
  await page.waitForTimeout(500);
}

async function take(page: Page, name: string, size: string, theme: string): Promise<void> {
  if (values.only !== undefined && values.only !== name) return;
  const png = toPalettePng(await page.screenshot());
  writeFileSync(join(target, `${name}-${size}-${theme}.png`), png);
  process.stdout.write(`${name} ${size} ${theme}: ${Math.ceil(png.length / 1_024)} KiB\n`);
}
