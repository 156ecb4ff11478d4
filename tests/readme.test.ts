/** README and docs say what is, and their recipes do what they say when they are pasted. */
import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { mkdir, symlink } from "node:fs/promises";
import { join, resolve } from "node:path";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { MachineService } from "../gen/bmaas/admin/v1/machine_service_pb.js";
import { type Setting, settings } from "../src/config/config.ts";
import { createTestDatabase, type TestDatabase } from "./support/database.ts";
import { moveInstallation } from "./support/installation.ts";
import { adminClient } from "./support/operator.ts";
import { makeFolder } from "./support/program.ts";
import { type ServerProcess, startServerProcess } from "./support/server-process.ts";

test("lists every setting with its flag, value, default and description", () => {
  const rows = readFileSync("docs/configuration.md", "utf8")
    .split("\n")
    .filter((line) => /^\| `(BMAAS|DATABASE)_/.test(line))
    .map((line) => line.split(/(?<!\\)\|/).map((cell) => cell.trim().replaceAll(/[`\\]/g, "")));
  const expected = Object.values<Setting>(settings).map((setting) => {
    return ["", setting.variable, setting.flag ?? "", setting.value, setting.default ?? "", setting.description, ""];
  });
  expect(rows).toEqual(expected);
});

test("names every folder of the repository, and no other", () => {
  const section = readFileSync("README.md", "utf8").split("## Develop it")[1] ?? "";
  const cells = section.split("\n").flatMap((line) => /^\| (`.*`) +\|/.exec(line)?.[1] ?? []);
  const named = cells.flatMap((cell) => [...cell.matchAll(/`([^`]+)`/g)].map(([, path]) => path));
  const tracked = execFileSync("git", ["ls-files"], { encoding: "utf8", maxBuffer: 64 * 1024 * 1024 }).split("\n");
  const folders = tracked
    .map((file) => /^(?:src\/[^/]+|[^/]+)(?:\/|$)/.exec(file)?.[0] ?? "")
    .filter((path) => path.endsWith("/") || path === "src/main.ts");
  expect(named.toSorted()).toEqual([...new Set(folders)].toSorted());
});

/** A shell block of a document: the heading above it, and which one under that it is. */
interface Recipe {
  /** Default: the README. */
  readonly file?: string;
  readonly heading: string;
  readonly block: number;
}

const recipes = {
  alias: { heading: "Try it", block: 1 },
  machine: { heading: "A machine and its agent", block: 0 },
  agent: { heading: "A machine and its agent", block: 1 },
  hardware: { heading: "A machine and its agent", block: 2 },
  request: { heading: "An installation", block: 0 },
  fail: { heading: "An installation", block: 1 },
  retry: { heading: "An installation", block: 2 },
  viewer: { heading: "Read-only access", block: 0 },
  many: { heading: "Many machines", block: 0 },
  find: { file: "docs/operating.md", heading: "Find a machine", block: 0 },
  enrol: { heading: "A machine that nobody has registered", block: 0 },
  approve: { heading: "A machine that nobody has registered", block: 1 },
  installImage: { heading: "A machine that nobody has registered", block: 2 },
  labels: { file: "docs/operating.md", heading: "Labels", block: 0 },
  holds: { file: "docs/operating.md", heading: "Holds", block: 0 },
  bundle: { file: "docs/operating.md", heading: "A bundle for a bug report", block: 0 },
  health: { file: "docs/operating.md", heading: "Health", block: 0 },
  admin: { file: "docs/operating.md", heading: "The API by buf curl", block: 0 },
  requestByBuf: { file: "docs/operating.md", heading: "The API by buf curl", block: 1 },
  retryByBuf: { file: "docs/operating.md", heading: "The API by buf curl", block: 2 },
  curl: { file: "docs/agents.md", heading: "A heartbeat by curl", block: 0 },
  curlHardware: { file: "docs/agents.md", heading: "A heartbeat by curl", block: 1 },
  bufCurl: { file: "docs/agents.md", heading: "A heartbeat by buf curl", block: 0 },
  seed: { file: "docs/operating.md", heading: "Seed files", block: 0 },
} satisfies Record<string, Recipe>;

const machineId = "4b9f3a52-2f0c-4a53-9d0e-6f1f3f1f9c11";

const hasTools = ["bash", "curl", "openssl"].every(
  (tool) => spawnSync(tool, [tool === "openssl" ? "version" : "--version"]).status === 0,
);

describe.skipIf(!hasTools)("the recipes (they need bash, curl and openssl)", () => {
  let database: TestDatabase;
  let server: ServerProcess;
  /** Looks like a clone, but what recipes make stays out of this one. */
  let clone: string;
  const started: ChildProcess[] = [];

  beforeAll(async () => {
    database = await createTestDatabase();
    clone = await makeFolder();
    for (const name of ["package.json", "node_modules", "bin", "src", "gen", "drizzle", "proto", "buf.yaml"]) {
      await symlink(resolve(name), join(clone, name));
    }
    await mkdir(join(clone, ".bmaas"));
    server = await startServerProcess({ DATABASE_URL: database.url, BMAAS_HOME: join(clone, ".bmaas") });
  });

  afterAll(async () => {
    for (const { pid } of started) endGroup(pid);
    await server?.stop();
    await database?.close();
  });

  /** Starts recipes in a shell that knows `bmaas`, at the test's ports. */
  function paste(...pasted: Recipe[]) {
    const [agents, operators] = [server.agentUrl, server.adminUrl].map((url) => new URL(url).port);
    const blocks = [recipes.alias, ...pasted].map((block) =>
      findRecipe(block).replaceAll("8443", `${agents}`).replaceAll("8480", `${operators}`),
    );
    const child = spawn("bash", ["-c", ["set -eo pipefail", ...blocks].join("\n")], {
      cwd: clone,
      env: { ...process.env, DATABASE_URL: database.url, NODE_OPTIONS: "" },
      detached: true,
    });
    started.push(child);
    return child;
  }

  async function run(...pasted: Recipe[]): Promise<{ status: number; stdout: string; stderr: string }> {
    const child = paste(...pasted);
    child.stdin.end();
    const [[status], stdout, stderr] = await Promise.all([
      once(child, "close"),
      text(child.stdout),
      text(child.stderr),
    ]);
    return { status, stdout, stderr };
  }

  test("create a machine, register its agent's key, and start the agent", async () => {
    expect(await run(recipes.machine)).toEqual({
      status: 0,
      stdout: `${machineId}\n${machineId}  agent registered\n`,
      stderr: expect.any(String),
    });
    const agent = paste(recipes.agent);
    let said = "";
    agent.stdout.setEncoding("utf8").on("data", (chunk: string) => {
      said += chunk;
    });
    await expect.poll(() => said).toContain("agent started");
  });

  test("find the machine by the beginning of its id", async () => {
    const { status, stdout } = await run(recipes.find);
    expect(status).toBe(0);
    expect(stdout).toMatch(new RegExp(`^ID .* MATCH\n${machineId} .* machine id ${machineId}\n$`));
  });

  test("show the file that takes the place of the machine's disks, once the agent has reported it", async () => {
    const shown = async () => (await run(recipes.hardware)).stdout;
    await expect.poll(shown, { interval: 1000 }).toMatch(/^disk\.img +bmaas disk file +4\.29 GB/m);
  });

  test("label the machine, find it by its label, and count the fleet by it", async () => {
    const { status, stdout } = await run(recipes.labels);
    expect(status).toBe(0);
    expect(stdout).toMatch(new RegExp(`^${machineId}  rack=r12\n`));
    expect(stdout).toMatch(new RegExp(`\n${machineId} .* r12 +-\n`));
    expect(stdout).toMatch(/\nr12 +1 /);
  });

  test("hold the machine, find it among those that are held, and release it", async () => {
    const { status, stdout } = await run(recipes.holds);
    expect(status).toBe(0);
    expect(stdout).toMatch(new RegExp(`^${machineId}  held by \\S+ until .*: fan replaced on the bench\n`));
    expect(stdout).toMatch(new RegExp(`\n${machineId}  \\w+, held `));
    expect(stdout).toMatch(new RegExp(`\n${machineId}  released\n$`));
  });

  test("put a health alert on the machine, see it, find the machine by it, and clear it", async () => {
    const { status, stdout, stderr } = await run(recipes.health);
    expect([status, stderr]).toEqual([0, expect.stringContaining("the machine has no alerts of burn-in now\n")]);
    expect(stdout.match(/^critical +memtest +dimm3 +burn-in .* block_install +4 errors$/gm)).toHaveLength(2);
    expect(stdout).toMatch(new RegExp(`\n${machineId}  \\w+, blocked `));
  });

  test("request an installation, and see its progress and outcome", async () => {
    const { status, stdout, stderr } = await run(recipes.request);
    expect([status, stdout]).toEqual([0, expect.stringMatching(/ {2}generation 1 succeeded after \d+ s\n$/)]);
    expect(stderr).toMatch(/installing: writing the image, \d+ %/);
  });

  test("make one fail, read why, retry it, and find every step with its actor", async () => {
    const failed = await run(recipes.fail);
    expect(failed).toMatchObject({ status: 7, stdout: "" });
    expect(failed.stderr).toMatch(/bmaas: generation 2 failed after .*disk\.img: write error\n$/);
    const { status, stdout } = await run(recipes.retry);
    expect(status).toBe(0);
    expect(stdout).toMatch(/^state +installation_failed$/m);
    expect(stdout).toMatch(/^because +.*disk\.img: write error/m);
    expect(stdout).toContain(`bmaas install retry ${machineId}\n`);
    expect(stdout).toMatch(/ {2}generation 3 succeeded after /);
    const rows = stdout.split("\n").filter((line) => /\(.* ago\)|just now/.test(line) && /token:|agent:/.test(line));
    const steps = rows.map((row) => /(token:bootstrap|agent):?\S* +(\w+)/.exec(row)?.slice(1).join(" "));
    const installation = (outcome: string) => [
      `agent ${outcome}`,
      "agent installation_started",
      "agent installation_given",
      "token:bootstrap installation_requested",
    ];
    expect(steps).toEqual([
      ...installation("installation_reported"),
      ...installation("installation_reported"),
      ...installation("installation_reported"),
      "token:bootstrap health_changed",
      "token:bootstrap health_changed",
      "token:bootstrap machine_released",
      "token:bootstrap machine_held",
      "token:bootstrap machine_labelled",
      "token:bootstrap agent_registered",
      "token:bootstrap machine_provided",
      "token:bootstrap machine_created",
    ]);
  });

  test("bundle what is known of the machine, and read in the bundle why it is in its state", async () => {
    const { status, stdout } = await run(recipes.bundle);
    expect([status, stdout]).toEqual([0, expect.stringMatching(/^machine +4b9f3a52.*\nstate +installed\n/)]);
  });

  test("let a viewer look, and not touch", async () => {
    const { status, stdout, stderr } = await run(recipes.viewer);
    expect([status, stdout]).toEqual([5, expect.stringMatching(/^installed +1 /m)]);
    expect(stderr).toMatch(/bmaas: DeleteMachine requires the role admin, and you have viewer\n$/);
  });

  test("list many", async () => {
    const { status, stdout } = await run(recipes.many);
    expect(status).toBe(0);
    expect(stdout).toMatch(/^lab +basement +1 /m);
    expect(stdout).toMatch(new RegExp(`^${machineId}  installed `, "m"));
    expect(stdout).toMatch(new RegExp(`^${machineId}  2 +failed `, "m"));
  });

  test("do the same by buf curl alone", async () => {
    const requested = await run(recipes.admin, recipes.requestByBuf);
    expect(requested).toMatchObject({ status: 0 });
    expect(requested.stdout).toContain('"state": "INSTALLATION_STATE_PENDING"');
    await moveInstallation(database.db, "4b9f3a52-2f0c-4a53-9d0e-6f1f3f1f9c12", 1n, "failed");
    const retried = await run(recipes.admin, recipes.retryByBuf);
    expect(retried).toMatchObject({ status: 0 });
    expect(retried.stdout).toContain('"state": "MACHINE_STATE_INSTALLATION_FAILED"');
    expect(retried.stdout).toContain('"generation": "2"');
    expect(retried.stdout).toMatch(/"actor": "token:bootstrap",\s*"kind": "machine_created"/);
  });

  test("heartbeat by curl and by buf curl", async () => {
    expect(await run(recipes.curl)).toMatchObject({ status: 0, stdout: expect.stringMatching(/^\{.*\}$/) });
    expect(await run(recipes.curl, recipes.curlHardware)).toMatchObject({
      status: 0,
      stdout: expect.stringMatching(/^(?:\{"nextHeartbeatAfter":"[\d.]+s"\}){2}$/),
    });
    expect(await run(recipes.bufCurl)).toMatchObject({ status: 0, stdout: expect.stringMatching(/^\{/) });
  });

  test("start an agent without a key, approve it, and install an image onto its disk, byte for byte", {
    timeout: 240_000,
  }, async () => {
    const agent = paste(recipes.enrol);
    let said = "";
    agent.stdout.setEncoding("utf8").on("data", (chunk: string) => {
      said += chunk;
    });
    await expect.poll(() => said, { timeout: 60_000 }).toContain("waiting for an operator");
    const { status, stdout } = await run(recipes.approve);
    expect([status, stdout]).toEqual([
      0,
      expect.stringMatching(/ waiting (?:.|\n)* approved as machine .*\n(?:.|\n)* (?:never_heartbeated|heartbeating) /),
    ]);
    const secret = readFileSync(join(clone, ".bmaas", "admin.token"), "utf8").trim();
    const machines = adminClient(MachineService, server.adminUrl, secret);
    const findMachine = async () =>
      (await machines.listMachines({})).machines.find(({ labels }) => labels.rack === "r3");
    await expect.poll(async () => (await findMachine())?.hardware, { timeout: 60_000 }).toBeDefined();
    const installed = await run(recipes.installImage);
    expect([installed.status, installed.stdout]).toEqual([
      0,
      expect.stringMatching(/ generation 1 succeeded after \d+ s\nevery byte of the image is on the disk\n$/),
    ]);
  });

  test("seed a fleet", async () => {
    const { status, stdout } = await run(recipes.seed);
    expect([status, stdout]).toEqual([0, expect.stringMatching(/4b9f3a52.*9c13 +created .*requested/)]);
  });
});

function findRecipe({ file = "README.md", heading, block }: Recipe): string {
  const section =
    readFileSync(file, "utf8")
      .split(/^##+ /m)
      .find((part) => part.startsWith(`${heading}\n`)) ?? "";
  const found = [...section.matchAll(/^```sh\n(.*?)^```$/gms)][block]?.[1];
  if (found === undefined) throw new Error(`${file} has no shell block ${block} under "${heading}"`);
  return found;
}

function endGroup(pid: number | undefined): void {
  try {
    if (pid !== undefined) process.kill(-pid, "SIGKILL");
  } catch {
    // It has ended.
  }
}
