/** The bundle that a clone runs: it is made once, and never run when what it was made of has changed. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { cp, mkdir, readdir, readFile, rename, rm, stat, symlink, utimes, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { text } from "node:stream/consumers";
import { beforeAll, expect, test } from "vitest";
import { makeFolder } from "../support/program.ts";

const recorder = new URL("../support/record-loaded-modules.ts", import.meta.url).href;

let clone: string;
let cache: string;

// One for all tests, which leave it able to run: making a bundle is most of what they do.
beforeAll(async () => {
  clone = await makeFolder();
  cache = join(clone, "node_modules", ".cache", "bmaas");
  for (const name of ["src", "gen", "tools", "bin", "package.json", "tsconfig.json"]) {
    await cp(resolve(name), join(clone, name), { recursive: true });
  }
  await mkdir(join(clone, "node_modules"));
  for (const name of await readdir("node_modules")) {
    if (!name.startsWith(".")) await symlink(resolve("node_modules", name), join(clone, "node_modules", name));
  }
});

/** Runs the clone's program to its end; `isBundle` tells whether it ran as a bundle or from its sources. */
async function run(...args: string[]) {
  const file = join(await makeFolder(), "loaded");
  const child = spawn(process.execPath, [join(clone, "bin", "bmaas.js"), ...args], {
    // Not where the tests run: there may be the token of a server.
    cwd: clone,
    env: { PATH: process.env.PATH, NODE_OPTIONS: `--import=${recorder}`, LOADED_MODULES_FILE: file },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const [stdout, stderr, [status]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, "close")]);
  const loaded = (await readFile(file, "utf8")).split("\n").filter((url) => url.startsWith("file:"));
  const isBundle = loaded.some((url) => url.endsWith("/main.mjs"));
  expect(loaded.some((url) => url.endsWith("/src/main.ts"))).toBe(!isBundle);
  return { status, stdout, stderr, isBundle, loaded };
}

async function listBundles(): Promise<string[]> {
  return (await readdir(cache)).filter((name) => /^bundle-[^.]*$/.test(name));
}

/** What the clone says of itself; tests change it. */
const source = "src/cli/program.ts";
const said = "Bare-metal machine database";

async function change(from: string, to: string): Promise<void> {
  const file = join(clone, source);
  await writeFile(file, (await readFile(file, "utf8")).replace(from, to));
}

test("it is made by the first command, and the next ones run it as it is", async () => {
  expect(await run("--help")).toMatchObject({ status: 0, stdout: expect.stringContaining(said) });
  const made = await listBundles();
  expect(made).toHaveLength(1);
  expect(await run("--help")).toMatchObject({ isBundle: true, stdout: expect.stringContaining(said) });
  expect(await run("status")).toMatchObject({ isBundle: true, status: 2 });
  expect(await listBundles()).toEqual(made);
});

test("a source that is written to, with the same size and time, is what runs next", async () => {
  const { atime, mtime, size } = await stat(join(clone, source));
  await change(said, "Bare-metal machine Database");
  await utimes(join(clone, source), atime, mtime);
  expect((await stat(join(clone, source))).size).toBe(size);
  expect((await run("--help")).stdout).toContain("Bare-metal machine Database");
  await change("machine Database", "machine database");
});

test("a source that another file takes the place of is what runs next, and one that is gone is missed", async () => {
  await cp(join(clone, source), join(clone, "other.ts"), { preserveTimestamps: true });
  await writeFile(join(clone, "other.ts"), (await readFile(join(clone, source), "utf8")).replace(said, "Another"));
  await rename(join(clone, "other.ts"), join(clone, source));
  expect((await run("--help")).stdout).toContain("Another");
  await change("Another", said);
  await rm(join(clone, "src/cli/status.ts"));
  expect(await run("status")).toMatchObject({
    status: 1,
    isBundle: false,
    stderr: expect.stringContaining("status.ts"),
  });
  await cp(resolve("src/cli/status.ts"), join(clone, "src/cli/status.ts"));
});

test("a source that is wrong fails as it is, and runs again once it is mended", async () => {
  await change("export async function", "export async async function");
  expect(await run("--version")).toMatchObject({
    status: 1,
    isBundle: false,
    stderr: expect.stringContaining("program.ts"),
  });
  await change("export async async function", "export async function");
  expect(await run("--version")).toMatchObject({ status: 0, isBundle: true });
});

test("a package that changes is what runs next, and so is one of its own that it gets", async () => {
  const commander = join(clone, "node_modules", "commander");
  await rm(commander);
  await cp(resolve("node_modules", "commander"), commander, { recursive: true });
  await run("--version");
  const before = await listBundles();
  const help = await readFile(join(commander, "lib", "help.js"), "utf8");
  await writeFile(join(commander, "lib", "help.js"), help.replace("'Usage:'", "'USAGE:'"));
  expect((await run("--help")).stdout).toContain("USAGE:");
  expect(await listBundles()).toHaveLength(before.length + 1);
  await mkdir(join(commander, "node_modules"));
  await run("--version");
  expect(await listBundles()).toHaveLength(before.length + 2);
  expect(await listBundles()).toEqual(expect.arrayContaining(before));
});

test("the sources run where no bundle can be made, and where there is nobody to make one", async () => {
  await rm(cache, { recursive: true });
  await writeFile(cache, "no folder");
  expect(await run("--help")).toMatchObject({
    status: 0,
    isBundle: false,
    stdout: expect.stringContaining(said),
    stderr: "",
  });
  await rm(cache);
  await rm(join(clone, "node_modules", "esbuild"));
  expect(await run("--help")).toMatchObject({
    status: 0,
    isBundle: false,
    stdout: expect.stringContaining(said),
    stderr: "",
  });
  await symlink(resolve("node_modules", "esbuild"), join(clone, "node_modules", "esbuild"));
});

test("commands that begin at the same time make bundles that work, and a record that is damaged is made again", async () => {
  const runs = await Promise.all([run("help", "status"), run("completion", "fish")]);
  expect(runs.map(({ status }) => status)).toEqual([0, 0]);
  expect(await run("--version")).toMatchObject({ status: 0, isBundle: true });
  await writeFile(join(cache, "bundle.json"), "{");
  expect(await run("--version")).toMatchObject({ status: 0, isBundle: true });
  await rm(join(cache, JSON.parse(await readFile(join(cache, "bundle.json"), "utf8")).folder), { recursive: true });
  expect(await run("--version")).toMatchObject({ status: 0, isBundle: true });
});

test("a bundle prints the same scripts for shells as the sources, and loads no command for it", async () => {
  await run("--version");
  for (const shell of ["bash", "zsh", "fish"]) {
    const { stdout, isBundle, loaded } = await run("completion", shell);
    expect(isBundle).toBe(true);
    expect(loaded.length).toBeLessThan(20);
    const child = spawn(process.execPath, ["src/main.ts", "completion", shell], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    expect(stdout).toBe(await text(child.stdout));
  }
});
