/**
 * `npm run console:pictures` takes pictures of each page of the console, wide and narrow, in light and dark, into
 * docs/console/. It starts a PostgreSQL and a server of its own with an invented fleet. `--help` lists the options.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { Page } from "playwright-core";
import { startBenchPostgres } from "../bench/end-to-end/fleet-databases.ts";
import { serveEnvironment } from "../bench/measure/serve-command.ts";
import { startServer } from "../bench/measure/server-process.ts";
import { connectOperator } from "../src/cli/operator/admin-client.ts";
import { loadConfig } from "../src/config/config.ts";
import { launchChromium } from "../tests/support/chromium.ts";
import { provideConsole } from "./clone-console.ts";
import { toPalettePng } from "./palette-png.ts";
import { fillPicturedFleet, furnish, type PicturedMachines, simulate } from "./pictures-fleet.ts";
import { readScriptOptions, text, toChoice } from "./script-options.ts";

/** How long the server samples the fleet before the pictures are taken, in milliseconds: it does so every 30 s. */
const samplingMs = 95_000;

const target = fileURLToPath(new URL("../docs/console/", import.meta.url));

const views = [
  ["wide", { width: 1200, height: 760 }],
  ["narrow", { width: 360, height: 720 }],
] as const;
const themes = ["light", "dark"] as const;

/** Pages by the names of their pictures; a machine's is one that needs somebody. */
const pages: Readonly<Record<string, (pictured: PicturedMachines) => string>> = {
  overview: () => "/",
  machines: () => "/machines",
  machine: ({ overdue }) => `/machines/${overdue}`,
  find: ({ serialNumber }) => `/find?text=${serialNumber.slice(0, 4)}`,
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

const names = ["sign-in", ...Object.keys(pages)];
const help = `npm run console:pictures -- [options]

  --only NAME       the pictures of one page (all):
                    ${names.join(", ")}
  --database URL    fill and use this empty database instead of a PostgreSQL of its own
`;
const values = readScriptOptions(help, { only: text, database: text });
const only = values.only === undefined ? undefined : toChoice("only", values.only, names);

await using resources = new AsyncDisposableStack();
const folder = mkdtempSync(join(tmpdir(), "bmaas-pictures-"));
resources.defer(() => rmSync(folder, { recursive: true, force: true }));
await provideConsole();
const databaseUrl = values.database ?? (await resources.use(await startBenchPostgres()).createDatabase("pictures"));
const pictured = await fillPicturedFleet(databaseUrl);
const { adminUrl, agentUrl, token } = await serve();
const operator = await connectOperator(loadConfig({ BMAAS_ADMIN_URL: adminUrl, BMAAS_ADMIN_TOKEN: token }));
await furnish(operator, { agentUrl, ca: readFileSync(join(folder, "tls", "ca.pem"), "utf8") });
const simulation = resources.use(await simulate(folder, adminUrl, agentUrl, databaseUrl));
await setTimeout(samplingMs);
await simulation.settle();
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
      if (only !== undefined && only !== name) continue;
      await page.goto(adminUrl + toPath(pictured));
      await settle(page);
      await take(page, name, size, colorScheme);
    }
    await context.close();
  }
}

async function serve() {
  const readLine = (line: string) => (line.startsWith("{") && line.includes('"adminUrl"') ? line : undefined);
  const server = resources.use(
    await startServer({
      ...{ program: fileURLToPath(new URL("../src/main.ts", import.meta.url)), args: ["serve"], readLine },
      environment: { ...serveEnvironment, BMAAS_HOME: folder, DATABASE_URL: databaseUrl },
    }),
  );
  const said = JSON.parse(server.said) as { readonly adminUrl: string; readonly agentUrl: string };
  return { ...said, token: readFileSync(join(folder, "admin.token"), "utf8").trim() };
}

/** Waits until nothing on the page is being loaded. */
async function settle(page: Page): Promise<void> {
  await page.getByText("● live").waitFor();
  await page.waitForFunction(() => !/Loading|Asking the server/.test(document.body.textContent));
  await page.waitForTimeout(500);
}

async function take(page: Page, name: string, size: string, theme: string): Promise<void> {
  if (only !== undefined && only !== name) return;
  const png = toPalettePng(await page.screenshot());
  writeFileSync(join(target, `${name}-${size}-${theme}.png`), png);
  process.stdout.write(`${name} ${size} ${theme}: ${Math.ceil(png.length / 1_024)} KiB\n`);
}
