/** The README says what is, and its recipes do what it says when they are pasted. */
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { mkdir, symlink } from "node:fs/promises";
import { join, resolve } from "node:path";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { settings } from "../src/config.ts";
import { createTestDatabase, type TestDatabase } from "./support/database.ts";
import { makeFolder } from "./support/program.ts";
import { type ServerProcess, startServerProcess } from "./support/server-process.ts";

const readme = readFileSync("README.md", "utf8");

test("lists every setting with its flag, default and description", () => {
  const rows = readme
    .split("\n")
    .filter((line) => /^\| `(BMAAS|DATABASE)_/.test(line))
    .map((line) => line.split("|").map((cell) => cell.trim().replaceAll("`", "")));
  const expected = settings.map((setting) => {
    const flag = "flag" in setting ? setting.flag : "";
    const fallback = "default" in setting ? setting.default : "";
    return ["", setting.variable, flag, fallback, setting.description, ""];
  });
  expect(rows).toEqual(expected);
});

/** A shell block of the README: the heading above it, and which one under that it is. */
interface Recipe {
  readonly heading: string;
  readonly block: number;
}

const recipes = {
  alias: { heading: "Try it", block: 1 },
  seed: { heading: "A machine and its agent's key", block: 0 },
  curl: { heading: "A heartbeat by curl", block: 0 },
  bufCurl: { heading: "A heartbeat by buf curl", block: 0 },
  request: { heading: "An installation", block: 0 },
  agent: { heading: "An installation", block: 1 },
} satisfies Record<string, Recipe>;

const hasTools = ["bash", "curl"].every((tool) => spawnSync(tool, ["--version"]).status === 0);

describe.skipIf(!hasTools)("the recipes (they need bash and curl)", () => {
  let database: TestDatabase;
  let server: ServerProcess;
  /** Looks like a clone, but what recipes make stays out of this one. */
  let clone: string;

  beforeAll(async () => {
    database = await createTestDatabase();
    clone = await makeFolder();
    for (const name of ["package.json", "node_modules", "src", "gen", "drizzle", "proto", "buf.yaml"]) {
      await symlink(resolve(name), join(clone, name));
    }
    await mkdir(join(clone, ".bmaas"));
    server = await startServerProcess({ DATABASE_URL: database.url, BMAAS_HOME: join(clone, ".bmaas") });
  });

  afterAll(async () => {
    await server?.stop();
    await database?.close();
  });

  /** Starts a recipe in a shell that knows `bmaas`, at the test's port. */
  function paste(recipe: Recipe) {
    const port = new URL(server.agentUrl).port;
    const blocks = [recipes.alias, recipe].map((block) => findRecipe(block).replaceAll("8443", port));
    const child = spawn("bash", ["-c", ["set -eo pipefail", ...blocks].join("\n")], {
      cwd: clone,
      env: { ...process.env, DATABASE_URL: database.url, NODE_OPTIONS: "" },
      detached: true,
    });
    onTestFinished(() => void endGroup(child.pid));
    return child;
  }

  async function run(recipe: Recipe): Promise<{ status: number; stdout: string; stderr: string }> {
    const child = paste(recipe);
    child.stdin.end();
    const [[status], stdout, stderr] = await Promise.all([
      once(child, "close"),
      text(child.stdout),
      text(child.stderr),
    ]);
    return { status, stdout, stderr };
  }

  test("make a key and seed a machine", async () => {
    const { status, stdout } = await run(recipes.seed);
    expect(status).toBe(0);
    expect(stdout).toMatch(/^[0-9a-f]{64}\n/);
    expect(stdout).toMatch(/4b9f3a52.*created/);
  });

  test("heartbeat by curl and by buf curl", async () => {
    const curl = await run(recipes.curl);
    expect(curl).toMatchObject({ status: 0, stdout: "{}" });
    const bufCurl = await run(recipes.bufCurl);
    expect(bufCurl).toMatchObject({ status: 0, stdout: "{}\n" });
  });

  test("request an installation, which the reference agent carries out", async () => {
    const requested = await run(recipes.request);
    expect(requested.status).toBe(0);
    expect(requested.stdout).toContain('"url": "https://images.example/debian-13.img"');
    const agent = paste(recipes.agent);
    let said = "";
    agent.stdout.setEncoding("utf8").on("data", (chunk: string) => {
      said += chunk;
    });
    await expect.poll(() => said, { timeout: 25_000 }).toMatch(/"generation":"1".*report/);
  });
});

function findRecipe({ heading, block }: Recipe): string {
  const section = readme.split(/^##+ /m).find((part) => part.startsWith(`${heading}\n`)) ?? "";
  const found = [...section.matchAll(/^```sh\n(.*?)^```$/gms)][block]?.[1];
  if (found === undefined) throw new Error(`the README has no shell block ${block} under "${heading}"`);
  return found;
}

function endGroup(pid: number | undefined): void {
  try {
    if (pid !== undefined) process.kill(-pid, "SIGKILL");
  } catch {
    // It has ended.
  }
}
