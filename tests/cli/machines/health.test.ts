/** `bmaas machines health`, and blocked machines wherever the command line shows them. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { machineWithAgent } from "../../support/machine.ts";
import { tokenOf } from "../../support/operator.ts";
import { operatorCommand } from "../../support/operator-command.ts";
import { makeFolder } from "../../support/program.ts";
import { startServerWithDatabase } from "../../support/server.ts";

const { database, server } = await startServerWithDatabase();
const operator = operatorCommand(server.adminUrl, (await tokenOf(database.db, "operator")).secret);
const folder = await makeFolder();
const digest = `sha256:${"ab".repeat(32)}`;
const image = [
  "--image",
  "https://images.example/os.img",
  "--digest",
  digest,
  "--root-device",
  "sda",
  "--unchecked-disk",
];
const memtest = { id: "memtest", severity: "critical", message: "4\nerrors", effects: ["block_install"] };

async function fileOf(content: unknown): Promise<string> {
  const file = join(folder, `${Math.random()}.json`);
  await writeFile(file, typeof content === "string" ? content : JSON.stringify(content));
  return file;
}

async function createMachine(): Promise<string> {
  return (await machineWithAgent(database.db)).machineId;
}

const put = async (machineId: string, content: unknown, ...more: string[]) =>
  operator.run("machines", "health", machineId, "--put", await fileOf(content), "--source", "burn-in", ...more);

test("alerts are put from a file, shown, refuse installations with 4, and are cleared", async () => {
  const machineId = await createMachine();
  const disk = { id: "smart", target: "sda", severity: "HEALTH_SEVERITY_WARNING" };
  const { status, stdout } = await put(machineId, [memtest, disk], "--ttl", "1h");
  expect([status, stdout]).toEqual([
    0,
    expect.stringMatching(
      /^SEVERITY .*\ncritical +memtest +- +burn-in +(?:just now|\d+ s ago) +in (?:59|60) min +block_install +4 errors\nwarning +smart +sda +burn-in .* - *\n$/,
    ),
  ]);
  const shown = (await operator.run("machines", "health", machineId)).stdout;
  expect(shown.match(/^\w+ +(memtest|smart) +\S+ +burn-in /gm)).toEqual(
    stdout.match(/^\w+ +(memtest|smart) +\S+ +burn-in /gm),
  );
  const refused = await operator.run("install", "request", machineId, ...image);
  expect([refused.status, refused.stderr]).toEqual([
    4,
    expect.stringMatching(/is blocked by the health alert memtest \(critical, from burn-in\): 4 errors; /),
  ]);
  const [got, list] = await Promise.all([
    operator.run("machines", "get", machineId),
    operator.run("machines", "list", "--selector", "blocked=yes"),
  ]);
  expect(got.stdout).toMatch(/\nhealth +critical, 2 alerts, blocks installations\n/);
  expect(list.stdout).toMatch(new RegExp(`${machineId}  never_heartbeated, blocked  `));
  const cleared = await operator.run("machines", "health", machineId, "--clear", "--source", "burn-in");
  expect(cleared).toEqual({ status: 0, stdout: "", stderr: "the machine has no alerts of burn-in now\n" });
  expect((await operator.run("machines", "list", "--selector", "blocked=yes")).stdout).toBe("");
});

test("what it prints as JSON can be put again", async () => {
  const machineId = await createMachine();
  await put(machineId, [memtest], "--ttl", "1h");
  const shown = await operator.json("machines", "health", machineId);
  const [again] = [await put(machineId, shown, "--ttl", "2h", "--json")];
  expect(JSON.parse(again.stdout)).toMatchObject({
    machine: { id: machineId },
    alerts: [{ id: "memtest", message: "4 errors" }],
  });
});

test("of several machines, those that are not blocked go on, and the status says that some did not", async () => {
  const [one, two] = [await createMachine(), await createMachine()];
  await put(one, [memtest], "--ttl", "1h");
  const { status, stdout, stderr } = await operator.run("install", "request", one, two, "--yes", ...image);
  expect(status).toBe(4);
  expect(stdout).toContain(two);
  expect(stderr).toMatch(new RegExp(`bmaas: ${one}: .* is blocked by`));
  expect(stderr).toMatch(/1 of 2 machines failed/);
});

test("what is wrong is said before anything is done", async () => {
  const machineId = await createMachine();
  const cases: readonly [string[], RegExp][] = [
    [["--put", "-"], /--source: name the program.*\n.*--ttl: say how long/s],
    [["--clear", "--source", "x", "--ttl", "1h"], /--ttl: has no use without --put/],
    [["--source", "x"], /--source: has no use/],
    [["--put", join(folder, "none.json"), "--source", "x", "--ttl", "1h"], /--put: ENOENT/],
    [["--put", await fileOf("{"), "--source", "x", "--ttl", "1h"], /--put: .*json: is not JSON/],
    [["--put", await fileOf([]), "--source", "x", "--ttl", "31d"], /ttl: /],
    [
      ["--put", await fileOf([memtest]), "--source", "agent", "--ttl", "1d"],
      /source: is reserved for the machine's agent: name another one, or put no alerts to take the agent's back/,
    ],
    [
      [
        "--put",
        await fileOf([{ id: "x", severity: "bad", effects: ["explode"], level: 1 }]),
        "--source",
        "x",
        "--ttl",
        "1h",
      ],
      /alerts\[0\]\.level is unknown.*alerts\[0\]\.severity is none of critical, warning, info; alerts\[0\]\.effects\[0\] is none of/,
    ],
  ];
  for (const [flags, said] of cases) {
    const { status, stderr } = await operator.run("machines", "health", machineId, ...flags);
    expect([status, stderr], flags.join(" ")).toEqual([2, expect.stringMatching(said)]);
  }
  expect((await operator.run("machines", "health", machineId)).stderr).toBe("the machine has no health alerts\n");
});
