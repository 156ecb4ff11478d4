/** Labels of machines: set and removed by one call, kept to their syntax, and what lists and watchers go by. */
import { randomUUID } from "node:crypto";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { beforeAll, describe, expect, test } from "vitest";
import {
  type LabelConditionSchema,
  LabelOperator,
  MachineService,
} from "../../../gen/bmaas/admin/v1/machine_service_pb.js";
import { codeOf } from "../../support/agents.ts";
import { errorOf } from "../../support/call-error.ts";
import { bareMachine, readTags } from "../../support/machine.ts";
import { adminClient, tokenOf } from "../../support/operator.ts";
import { startServerWithDatabase } from "../../support/server.ts";
import { startWatch } from "../../support/watcher.ts";

const { database, server } = await startServerWithDatabase();
const operator = await tokenOf(database.db, "operator");
const actor = `token:${operator.name}`;
const machines = adminClient(MachineService, server.adminUrl, operator.secret);
const labelsOf = async (machineId: string) => (await machines.getMachine({ machineId })).machine?.labels;
const history = async (machineId: string) => (await readTags(database, machineId)).history.slice(1);

test("sets and removes in one call, and leaves other labels as they are", async () => {
  const machineId = await bareMachine(database.db);
  const first = await machines.setLabels({ machineId, set: { rack: "r12", team: "ops", "example.com/site": "" } });
  expect(first.machine?.labels).toEqual({ rack: "r12", team: "ops", "example.com/site": "" });
  const call = { machineId: machineId.toUpperCase(), set: { rack: "r13", role: "db" }, remove: ["team", "absent"] };
  const { machine } = await machines.setLabels(call);
  expect(machine?.labels).toEqual({ rack: "r13", role: "db", "example.com/site": "" });
  expect(await labelsOf(machineId)).toEqual(machine?.labels);
  expect(await history(machineId)).toMatchObject([
    {
      kind: "machine_labelled",
      actor,
      detail: { "label.rack": "r12", "label.team": "ops", "label.example.com/site": "" },
    },
    { kind: "machine_labelled", actor, detail: { "label.rack": "r13", "label.role": "db", removed: "team" } },
  ]);
});

test("records nothing when nothing changes", async () => {
  const machineId = await bareMachine(database.db);
  await machines.setLabels({ machineId, remove: ["rack"] });
  await machines.setLabels({ machineId, set: { rack: "r1" } });
  await machines.setLabels({ machineId, set: { rack: "r1" }, remove: ["team"] });
  expect(await history(machineId)).toHaveLength(1);
});

test("a machine is created with labels, and takes them with it when it goes", async () => {
  const admin = adminClient(MachineService, server.adminUrl, (await tokenOf(database.db, "admin")).secret);
  const { machine } = await machines.createMachine({ labels: { rack: "r1" } });
  expect(machine?.labels).toEqual({ rack: "r1" });
  const machineId = machine?.id ?? "";
  await admin.deleteMachine({ machineId });
  await admin.createMachine({ machineId });
  expect(await labelsOf(machineId)).toEqual({});
  expect(await errorOf(machines.createMachine({ labels: { "ra ck": "r1" } }))).toMatchObject({
    code: "InvalidArgument",
    fields: ['labels["ra ck"]'],
  });
});

describe("of what is no label", () => {
  test("names every key and value with the rule, and stores nothing", async () => {
    const machineId = await bareMachine(database.db);
    const set = { good: "yes", "-bad": "1", value: "with space", ["k".repeat(64)]: "v" };
    const error = await errorOf(machines.setLabels({ machineId, set, remove: ["also bad", "good"] }));
    expect(error).toMatchObject({
      code: "InvalidArgument",
      fields: ['set["-bad"]', 'set["value"]', `set["${"k".repeat(64)}"]`, "remove[0]", "remove[1]"],
    });
    expect(error.message).toContain('set["-bad"] is not a label\'s key: write at most 63 letters, digits');
    expect(error.message).toContain("remove[1] is set by the same call");
    expect(await history(machineId)).toEqual([]);
  });

  test("refuses the 33rd label, whichever call brings it, and stores nothing", async () => {
    const machineId = await bareMachine(database.db);
    const many = (count: number, from = 0) =>
      Object.fromEntries(Array.from({ length: count }, (_, index) => [`key-${from + index}`, "v"]));
    expect(await errorOf(machines.setLabels({ machineId, set: many(33) }))).toMatchObject({
      code: "InvalidArgument",
      message: expect.stringMatching(/would have 33 labels, but can have 32: remove some/),
    });
    await machines.setLabels({ machineId, set: many(32) });
    expect(await codeOf(machines.setLabels({ machineId, set: many(1, 32) }))).toBe("InvalidArgument");
    // One goes, one comes.
    expect(await codeOf(machines.setLabels({ machineId, set: many(1, 32), remove: ["key-0"] }))).toBe("ok");
    expect(Object.keys((await labelsOf(machineId)) ?? {})).toHaveLength(32);
    expect(await history(machineId)).toHaveLength(2);
  });
});

test("two callers at once lose nothing of each other, and pass no bound together", async () => {
  const machineId = await bareMachine(database.db);
  const calls = Array.from({ length: 40 }, (_, index) =>
    codeOf(machines.setLabels({ machineId, set: { [`k${index}`]: "v" } })),
  );
  const codes = await Promise.all(calls);
  expect(codes.filter((code) => code === "ok")).toHaveLength(32);
  expect(Object.keys((await labelsOf(machineId)) ?? {})).toHaveLength(32);
});

test("refuses nobody's and viewers' calls, and machines that do not exist", async () => {
  const machineId = await bareMachine(database.db);
  const set = { rack: "r1" };
  expect(await codeOf(machines.setLabels({ machineId: randomUUID(), set }))).toBe("NotFound");
  const viewer = adminClient(MachineService, server.adminUrl, (await tokenOf(database.db, "viewer")).secret);
  expect(await codeOf(viewer.setLabels({ machineId, set }))).toBe("PermissionDenied");
  expect(await codeOf(adminClient(MachineService, server.adminUrl).setLabels({ machineId, set }))).toBe(
    "Unauthenticated",
  );
  expect(await labelsOf(machineId)).toEqual({});
});

test("under one request id changes once, whatever was changed since", async () => {
  const machineId = await bareMachine(database.db);
  const call = { machineId, set: { rack: "r1" }, requestId: randomUUID() };
  const answer = await machines.setLabels(call);
  await machines.setLabels({ machineId, set: { rack: "r2" } });
  expect(await machines.setLabels(call)).toEqual(answer);
  expect(await labelsOf(machineId)).toEqual({ rack: "r2" });
});

describe("lists and watchers go by labels", () => {
  const { EQUALS, DIFFERS, EXISTS, MISSING } = LabelOperator;
  type Condition = MessageInitShape<typeof LabelConditionSchema>;
  const mark = `mark-${randomUUID()}`;
  const ids = new Map<string, string>();

  beforeAll(async () => {
    const labelled: Record<string, Record<string, string>> = {
      one: { rack: "r1", team: "a" },
      two: { rack: "r2", team: "a" },
      three: { rack: "r1" },
      none: {},
    };
    for (const [name, labels] of Object.entries(labelled)) {
      const { machine } = await machines.createMachine({ labels: { ...labels, [mark]: "" } });
      ids.set(machine?.id ?? "", name);
    }
  });

  const rows: readonly [string, readonly Condition[], readonly string[]][] = [
    ["a value", [{ key: "rack", operator: EQUALS, value: "r1" }], ["one", "three"]],
    ["another value", [{ key: "rack", operator: DIFFERS, value: "r1" }], ["none", "two"]],
    ["a key", [{ key: "team", operator: EXISTS }], ["one", "two"]],
    ["no key", [{ key: "team", operator: MISSING }], ["none", "three"]],
    ["an empty value", [{ key: mark, operator: EQUALS, value: "" }], ["none", "one", "three", "two"]],
    [
      "several conditions",
      [
        { key: "rack", operator: EQUALS, value: "r1" },
        { key: "team", operator: MISSING },
      ],
      ["three"],
    ],
    [
      "conditions on one key",
      [
        { key: "rack", operator: EXISTS },
        { key: "rack", operator: DIFFERS, value: "r1" },
      ],
      ["two"],
    ],
    ["what none has", [{ key: "rack", operator: EQUALS, value: "R1" }], []],
  ];

  test.each(rows)("by %s", async (_, conditions, expected) => {
    const labels = [...conditions, { key: mark, operator: EXISTS }];
    const found = (await machines.listMachines({ filter: { labels } })).machines.map(({ id }) => id);
    expect(found).toEqual(found.toSorted());
    expect(found.map((id) => ids.get(id)).toSorted()).toEqual(expected);
  });

  test("page by page, whichever index they are found by", async () => {
    const labels = [{ key: mark, operator: EXISTS }];
    const found: string[] = [];
    for (let pageToken = ""; ; ) {
      const page = await machines.listMachines({ filter: { labels }, pageSize: 1, pageToken });
      found.push(...page.machines.map(({ id }) => id));
      pageToken = page.nextPageToken;
      if (pageToken === "") break;
    }
    expect(found).toEqual([...ids.keys()].toSorted());
  });

  test("a page's token is bound to the labels", async () => {
    const filter = { labels: [{ key: mark, operator: EXISTS }] };
    const { nextPageToken: pageToken } = await machines.listMachines({ filter, pageSize: 1 });
    const other = { labels: [{ key: mark, operator: MISSING }] };
    expect(await codeOf(machines.listMachines({ filter: other, pageToken }))).toBe("InvalidArgument");
  });

  test("a condition on what is no label is refused", async () => {
    const labels = [
      { key: "-", operator: EXISTS },
      { key: "rack", operator: EXISTS, value: "r1" },
    ];
    const expected = { code: "InvalidArgument", fields: ["filter.labels[0].key", "filter.labels[1].value"] };
    expect(await errorOf(machines.listMachines({ filter: { labels } }))).toMatchObject(expected);
    const watch = machines.watchMachines({ filter: { labels } })[Symbol.asyncIterator]();
    expect(await errorOf(watch.next())).toMatchObject(expected);
    const unnamed = [{ key: "rack" }];
    expect(await errorOf(machines.listMachines({ filter: { labels: unnamed } }))).toMatchObject({
      code: "InvalidArgument",
      fields: ["filter.labels[0].operator"],
    });
  });

  test("a watcher of a label hears of machines from when they have it", async () => {
    const value = randomUUID();
    await using watch = await startWatch(machines, {
      filter: { labels: [{ key: "watched", operator: EQUALS, value }] },
    });
    const [machineId, other] = [await bareMachine(database.db), await bareMachine(database.db)];
    await machines.setLabels({ machineId: other, set: { watched: "otherwise" } });
    await machines.setLabels({ machineId, set: { watched: value } });
    const event = await watch.waitFor(machineId, "machine_labelled");
    expect(event).toMatchObject({ actor, detail: { "label.watched": value }, machine: { labels: { watched: value } } });
    expect(watch.events.filter((each) => each.machineId === other)).toEqual([]);
  });
});
