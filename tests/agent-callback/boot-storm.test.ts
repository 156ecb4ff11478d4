/** Machines that boot all the time, on two server processes, and how operators see them. */
import { expect, test } from "vitest";
import { MachineService } from "../../gen/bmaas/admin/v1/machine_service_pb.js";
import { machineOn } from "../support/fleet.ts";
import { readTags } from "../support/machine.ts";
import { observe } from "../support/observer.ts";
import { adminClient, tokenOf } from "../support/operator.ts";
import { operatorCommand } from "../support/operator-command.ts";
import { startTwoServers } from "../support/server-process.ts";
import { waitUntil } from "../support/wait.ts";

const { database, servers } = await startTwoServers();
const { secret } = await tokenOf(database.db, "viewer");

async function readEvents(machineId: string) {
  const { history } = await readTags(database, machineId);
  return history
    .filter(({ kind }) => ["agent_booted", "agent_duplicated"].includes(kind))
    .map(({ kind, detail }) => ({ kind, ...detail }));
}

test("boots that two servers hear at once are one row of the history, and none is lost", async () => {
  const fleet = await Promise.all(Array.from({ length: 6 }, () => machineOn(database.db, servers)));
  const invented = Array.from({ length: 30 }, (_, index) => `boot ${index}`);
  await Promise.all(
    fleet.map(async (machine, index) => {
      await machine.beat(index % 2, { bootId: "first" });
      await Promise.all(invented.map((bootId, at) => machine.beat((index + at) % 2, { bootId })));
      const { heartbeat } = await readTags(database, machine.machineId);
      expect(await readEvents(machine.machineId)).toMatchObject([
        { kind: "agent_booted", bootId: heartbeat?.bootId, previousBootId: "first", boots: "30" },
      ]);
      machine[Symbol.dispose]();
    }),
  );
});

test("two machines with one id and key are noticed in the midst of a boot storm, and are no boots", async () => {
  using machine = await machineOn(database.db, servers);
  for (let boot = 0; boot < 20; boot++) await machine.beat(boot % 2, { bootId: `boot ${boot}` });
  await machine.beat(0, { bootId: "clone" });
  await Promise.all([0, 1].map((server) => machine.beat(server, { bootId: "boot 19" })));
  await Promise.all([1, 0].map((server) => machine.beat(server, { bootId: "clone" })));
  expect(await readEvents(machine.machineId)).toMatchObject([
    { kind: "agent_booted", bootId: "clone", previousBootId: "boot 0", boots: "20" },
    { kind: "agent_duplicated", sign: "boot_id", value: "boot 19", otherValue: "clone" },
  ]);
});

test("history, watch and explain tell how often a machine booted, and between when", { timeout: 200_000 }, async () => {
  const viewer = operatorCommand(servers[0].adminUrl, secret);
  using machine = await machineOn(database.db, servers);
  const { machineId } = machine;
  const { watchToken } = await viewer.json("machines", "list");
  const watch = viewer.start("machines", "watch", "--from", watchToken as string);
  await machine.beat(0, { bootId: "first" });
  const boot = async (bootId: string, times: string) => {
    await machine.beat(1, { bootId });
    // Watchers wait for the transactions of other tests on the same PostgreSQL.
    await waitUntil(`the watch tells boot ${bootId}`, () => watch.output.stdout.includes(times), 60_000);
  };
  await boot("a", "agent_booted  by agent:");
  // The hour of the run is nearly over.
  await observe(database)`
    with moved as (
      update agent_boots set run_began_at = run_began_at - interval '40 min', last_at = last_at - interval '20 min'
       where machine_id = ${machineId}
    ) update machine_history set at = at - interval '40 min' where machine_id = ${machineId}`;
  await boot("b", "agent_booted 2 times since 20");
  await boot("c", "agent_booted 3 times since 20");
  const instant = String.raw`\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ`;
  const { stdout } = await viewer.run("history", machineId);
  const row = new RegExp(
    `^(${instant}) \\(4\\d min ago\\) +agent:\\S+ +agent_booted +booted 3 times between (${instant}) and (${instant}) bootId=c previousBootId=first$`,
    "m",
  );
  const [, time, first, last = ""] = row.exec(stdout) ?? [stdout];
  expect(time).toBe(first);
  expect(Date.parse(last) - Date.parse(first as string)).toBeGreaterThanOrEqual(40 * 60_000 - 1000);
  const lines = watch.output.stdout.split("\n").filter((line) => line.includes("agent_booted 3 times"));
  expect(lines).toEqual([expect.stringMatching(new RegExp(`^${instant}  ${machineId} .* since ${first}  by agent:`))]);
  const { condition } = await adminClient(MachineService, servers[1].adminUrl, secret).explainMachine({ machineId });
  expect(condition).toMatch(new RegExp(`; it is in a boot loop: booted 3 times between ${instant} and ${instant}$`));
  const { stdout: explained } = await viewer.run("machines", "explain", machineId);
  expect(explained).toContain("it is in a boot loop: booted 3 times between");
});
