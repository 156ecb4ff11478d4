/** What a command loads before it does anything: itself, and nothing of the others. */
import { readFile } from "node:fs/promises";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { makeFolder, runProgram, sourceFile } from "../support/program.ts";

const recorder = new URL("../support/record-loaded-modules.ts", import.meta.url).href;
const repository = fileURLToPath(new URL("../..", import.meta.url));

/** The modules that a run of the program loaded: paths from the repository's root; Node's own are left out. */
async function listLoadedModules(...args: string[]): Promise<string[]> {
  const file = join(await makeFolder(), "loaded");
  await runProgram(args, {
    // A bundle does not tell which sources it consists of.
    program: sourceFile,
    directory: await makeFolder(),
    environment: { NODE_OPTIONS: `--import=${recorder}`, LOADED_MODULES_FILE: file, BMAAS_ADMIN_URL: "http://[::1]:1" },
  });
  const urls = (await readFile(file, "utf8")).split("\n").filter((url) => url.startsWith("file:"));
  return urls.map((url) => relative(repository, fileURLToPath(url)));
}

/** Those of a package, by its name. */
function packagesOf(modules: readonly string[]): string[] {
  const names = modules.flatMap((path) => /^node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(path)?.[1] ?? []);
  return [...new Set(names)].sort();
}

function sourcesOf(modules: readonly string[]): string[] {
  return modules.filter((path) => path.startsWith("src/") || path.startsWith("gen/"));
}

test.each([["--version"], ["--help"], ["help"], ["stauts"]])("bmaas %s loads no command", async (...args) => {
  const loaded = await listLoadedModules(...args);
  expect(sourcesOf(loaded).sort()).toEqual([
    "src/base/error-redaction.ts",
    "src/base/operator-error.ts",
    "src/base/own-files.ts",
    "src/base/printable.ts",
    "src/base/version.ts",
    "src/cli/lost-output.ts",
    "src/cli/operator/exit-status.ts",
    "src/cli/program.ts",
    "src/main.ts",
  ]);
  expect(packagesOf(loaded)).toEqual(["commander"]);
});

test.each(["status", "machines list", "help install", "history"])(
  "bmaas %s loads what calls a server needs, and nothing of a server or an agent",
  async (line) => {
    const loaded = await listLoadedModules(...line.split(" "));
    const rooms = new Set(sourcesOf(loaded).map((path) => /^(?:src\/)?[^/.]+/.exec(path)?.[0]));
    const allowed = ["src/base", "src/cli", "src/config", "src/contract", "src/main", "src/rpc", "gen"];
    expect([...rooms].filter((room) => !allowed.includes(room ?? ""))).toEqual([]);
    const commands = ["serve", "migrate", "seed", "agent", "demo", "simulate", "completion", "tokens"];
    for (const name of commands) expect(loaded).not.toContain(`src/cli/${name}.ts`);
    const calls = ["@bufbuild/protobuf", "@connectrpc/connect", "@connectrpc/connect-node"];
    const packages = [...calls, "commander", "leven"];
    expect(sourcesOf(loaded)).toContain(`src/cli/${line.replace("help ", "").split(" ")[0]}.ts`);
    expect(packagesOf(loaded).filter((name) => !packages.includes(name))).toEqual([]);
  },
);
