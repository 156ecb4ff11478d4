import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { checkSchema } from "../../src/db/migrate.ts";
import { createEmptyDatabase, createTestDatabase, type TestDatabase } from "../support/database.ts";
import { mainFile, makeFolder, runProgram } from "../support/program.ts";
import { imageYaml, newPublicKey, readFleet } from "../support/seed.ts";

const example = fileURLToPath(new URL("../../examples/fleet.yaml", import.meta.url));

let database: TestDatabase;
let folder: string;
beforeAll(async () => {
  database = await createTestDatabase();
  folder = await mkdtemp(join(tmpdir(), "bmaas-seed-"));
});
afterAll(async () => {
  await database.close();
  await rm(folder, { recursive: true });
});

interface Run {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs `bmaas seed` as a user does, with the standard input given. */
function runSeed(
  args: readonly string[],
  options: { stdin?: string | Buffer; databaseUrl?: string } = {},
): Promise<Run> {
  const env = {
    PATH: process.env.PATH,
    HOME: folder,
    BMAAS_HOME: folder,
    BMAAS_LOG_LEVEL: "warn",
    DATABASE_URL: options.databaseUrl ?? database.url,
  };
  return new Promise((resolve) => {
    const child = execFile(process.execPath, [mainFile, "seed", ...args], { env }, (_error, stdout, stderr) => {
      resolve({ status: child.exitCode ?? -1, stdout, stderr });
    });
    child.stdin?.on("error", () => {});
    child.stdin?.end(options.stdin ?? "");
  });
}

async function writeFleet(name: string, text: string): Promise<string> {
  const file = join(folder, name);
  await writeFile(file, text);
  return file;
}

test("prints a table of what it did, and the second time that nothing changed", async () => {
  const first = await runSeed([example]);
  expect(first).toMatchObject({ status: 0, stderr: "" });
  expect(first.stdout).toMatch(/^MACHINE ID +MACHINE +PROVIDED +LABELS +AGENT +EXPECT +INSTALL +GENERATION\n/);
  expect(first.stdout).toMatch(/^[0-9a-f-]{36} {2}created {2}created {3}- {8}created {2}- {8}requested {2}123$/m);
  expect(first.stdout).toMatch(/\n7 machines: 7 created, 0 changed, 0 unchanged; 3 installations requested\n$/);
  const { history } = await readFleet(database);
  expect(new Set(history.map(({ actor }) => actor))).toEqual(new Set([`seed:${userInfo().username}`]));

  const second = await runSeed([example]);
  expect(second).toMatchObject({ status: 0, stderr: "" });
  expect(second.stdout).toMatch(/\n7 machines: 0 created, 0 changed, 7 unchanged; 0 installations requested\n$/);
});

test("reads standard input and prints JSON for programs", async () => {
  const stdin = `machines:
  - provided: { provider: json, providerId: "1" }
  - agent: { publicKey: "${newPublicKey()}" }
    install: { uncheckedDisk: true, generation: 9007199254740993, image: ${imageYaml()} }
`;
  const { status, stdout, stderr } = await runSeed(["--json", "-"], { stdin });
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  const uuid = expect.stringMatching(/^[0-9a-f-]{36}$/);
  const tags = { provided: null, labels: null, agent: null, expect: null, install: null };
  expect(JSON.parse(stdout)).toEqual({
    dryRun: false,
    machines: [
      { index: 0, line: 2, machineId: uuid, machine: "created", ...tags, provided: "created" },
      {
        index: 1,
        line: 3,
        machineId: uuid,
        machine: "created",
        ...tags,
        agent: "created",
        install: { outcome: "requested", generation: "9007199254740993", note: null },
      },
    ],
    summary: { machines: 2, created: 2, changed: 0, unchanged: 0, installationsRequested: 1 },
  });
});

test("a dry run says so and writes nothing", async () => {
  const before = await readFleet(database);
  const stdin = 'machines: [{ provided: { provider: dry, providerId: "1" } }]';
  const { status, stdout } = await runSeed(["--dry-run", "-"], { stdin });
  expect(status).toBe(0);
  expect(stdout).toContain("(generated when seeded)  created  created   -       -      -       -        -\n");
  expect(stdout).toMatch(/1 machine: 1 created.*\nDry run: nothing was written\.\n$/);
  expect(JSON.parse((await runSeed(["--dry-run", "--json", "-"], { stdin })).stdout)).toMatchObject({
    dryRun: true,
    machines: [{ machineId: null }],
  });
  expect(await readFleet(database)).toEqual(before);
});

describe("a dry run is refused, and creates nothing,", () => {
  const stdin = 'machines: [{ provided: { provider: dry, providerId: "1" } }]';
  const status = 2;

  test("where there is no database", async () => {
    const directory = await makeFolder();
    await writeFile(join(directory, "fleet.yaml"), stdin);
    const dryRun = ["seed", "fleet.yaml", "--dry-run", "--home", "typo"];
    expect(await runProgram(dryRun, { directory })).toEqual({
      status,
      stdout: "",
      stderr:
        `bmaas: there is no database under ${join(directory, "typo")}, and a dry run creates none: ` +
        "set --home to the folder of a server that has started once, or set DATABASE_URL\n",
    });
    expect(await readdir(directory)).toEqual(["fleet.yaml"]);
    await mkdir(join(directory, "typo"));
    expect(await runProgram(dryRun, { directory })).toMatchObject({ status });
    expect(await readdir(join(directory, "typo"))).toEqual([]);
  });

  test("where the database has an older schema", async () => {
    const { url, drop } = await createEmptyDatabase();
    onTestFinished(drop);
    const { pending } = await checkSchema(url);
    expect(await runSeed(["--dry-run", "-"], { stdin, databaseUrl: url })).toEqual({
      status,
      stdout: "",
      stderr:
        `bmaas: the database lacks ${pending} migrations of this bmaas, ` +
        "and a dry run applies none: run bmaas migrate first\n",
    });
    expect(await checkSchema(url)).toEqual({ pending });
  });
});

test("says that it creates a database under a home that has none", async () => {
  const directory = await makeFolder();
  await writeFile(join(directory, "fleet.yaml"), 'machines: [{ provided: { provider: first, providerId: "1" } }]');
  const { status, stderr } = await runProgram(["seed", "fleet.yaml", "--home", "new"], { directory });
  expect(status).toBe(0);
  expect(stderr).toContain("there is no database under this home yet; the seed creates one");
});

test("lists every mistake of a file on standard error, with status 2", async () => {
  const file = await writeFleet("bad.yaml", "machines:\n  - id: nope\n  - agnet: {}\n");
  expect(await runSeed([file])).toEqual({
    status: 2,
    stdout: "",
    stderr: [
      `${file}:2:9: machines[0].id: a machine id is a UUID such as 4b9f3a52-2f0c-4a53-9d0e-6f1f3f1f9c11\n`,
      `${file}:3:5: machines[1].agnet: is not a known field; did you mean agent?\n`,
      `${file}:3:5: machines[1]: cannot be found again by a second run, which would create it again;`,
      " give it an id (uuidgen makes one), provided or agent\n",
    ].join(""),
  });
});

test("lists the first hundred mistakes of a file of JSON Lines, and says that there are more", async () => {
  const lines = Array.from({ length: 300 }, (_, index) => `{"id":"nope-${index}"}\n`);
  const file = await writeFleet("many.jsonl", lines.join(""));
  const { status, stdout, stderr } = await runSeed([file]);
  expect({ status, stdout }).toEqual({ status: 2, stdout: "" });
  const mistakes = stderr.trimEnd().split("\n");
  expect(mistakes).toHaveLength(101);
  expect(mistakes[99]).toContain(`${file}:100:7: machines[99].id: a machine id is a UUID`);
  expect(mistakes[100]).toBe(`${file}: there are more mistakes; mend these first`);
});

test("lists conflicts with the database in the same way", async () => {
  const key = newPublicKey();
  await runSeed(["-"], { stdin: `machines: [{ agent: { publicKey: "${key}" } }]` });
  const id = "4b9f3a52-2f0c-4a53-9d0e-6f1f3f1f9c11";
  const { status, stdout, stderr } = await runSeed(["--json", "-"], {
    stdin: `machines: [{ id: ${id}, agent: { publicKey: "${key}" } }]`,
  });
  expect({ status, stdout }).toEqual({ status: 2, stdout: "" });
  expect(stderr).toMatch(
    /^<stdin>:1:\d+: machines\[0\]\.agent\.publicKey: is already the key of machine [0-9a-f-]{36}; .*\n$/,
  );
});

test("says with status 2 that a file cannot be read", async () => {
  const file = join(folder, "missing.yaml");
  expect(await runSeed([file])).toEqual({ status: 2, stdout: "", stderr: `${file}: there is no such file\n` });
});

test("says with status 1 that the database is away, and nothing of what was to be written", async () => {
  const stdin = `machines: [{ agent: { publicKey: "${newPublicKey()}" }, install: { uncheckedDisk: true, image: ${imageYaml().replace("}", ", userData: secret }")} } }]`;
  const { status, stdout, stderr } = await runSeed(["-"], {
    stdin,
    databaseUrl: "postgres://me:hidden@127.0.0.1:1/none",
  });
  expect({ status, stdout }).toEqual({ status: 1, stdout: "" });
  expect(stderr).toMatch(/^bmaas: the database is unreachable \(ECONNREFUSED\)/);
  expect(stderr).not.toMatch(/secret|hidden/);
});

test("shows what a terminal would obey in a file's names and values", async () => {
  const stdin = `machines: [{ "na\u202eme\u009b2J": 1, id: "\u202e17" }]`;
  const { status, stdout, stderr } = await runSeed(["-"], { stdin });
  expect({ status, stdout }).toEqual({ status: 2, stdout: "" });
  expect(stderr).toMatch(/\\u\{?202e/);
  expect(stderr.replaceAll("\n", "")).not.toMatch(/[\p{Cc}\p{Cf}]/u);
});
