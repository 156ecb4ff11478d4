import { toJson } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { LabelOperator, MachineFilterSchema } from "../../../gen/bmaas/admin/v1/machine_service_pb.js";
import { parseSelector } from "../../../src/cli/operator/selector.ts";
import { ConfigError } from "../../../src/config/config.ts";

const id = "4b9f3a52-2f0c-4a53-9d0e-6f1f3f1f9c11";

test.each([
  ["provider=equinix", { provider: "equinix" }],
  [
    "state=heartbeating,state=installation-failed",
    { states: ["MACHINE_STATE_HEARTBEATING", "MACHINE_STATE_INSTALLATION_FAILED"] },
  ],
  ["location=Paris\\, France", { location: "Paris, France" }],
  ["provider=a=b\\c", { provider: "a=b\\c" }],
  [
    "min-memory=16GiB,min-disk=1.5TB,min-threads=8",
    { minMemoryBytes: "17179869184", minDiskBytes: "1500000000000", minCpuThreads: 8 },
  ],
  ["heartbeat-older-than=1.5h,heartbeat-younger-than=2d", { minHeartbeatAge: "5400s", maxHeartbeatAge: "172800s" }],
  [
    "state=installing,in-state-longer-than=1h,in-state-shorter-than=1d,held=no",
    { states: ["MACHINE_STATE_INSTALLING"], minStateAge: "3600s", maxStateAge: "86400s", held: false },
  ],
  [`id=${id.toUpperCase()},id=${id}`, { machineIds: [id, id] }],
])("reads %s", (selector, filter) => {
  expect(toJson(MachineFilterSchema, parseSelector([selector]))).toEqual(filter);
});

test("counts several selectors together", () => {
  expect(toJson(MachineFilterSchema, parseSelector(["state=stale", "state=installed,provider=x"]))).toEqual({
    states: ["MACHINE_STATE_STALE", "MACHINE_STATE_INSTALLED"],
    provider: "x",
  });
});

test("reads conditions on labels", () => {
  const selector = "label.rack=r12,label.rack!=r13,label.example.com/site,!label.team,label.empty=";
  expect(parseSelector([selector]).labels).toMatchObject([
    { key: "rack", operator: LabelOperator.EQUALS, value: "r12" },
    { key: "rack", operator: LabelOperator.DIFFERS, value: "r13" },
    { key: "example.com/site", operator: LabelOperator.EXISTS, value: "" },
    { key: "team", operator: LabelOperator.MISSING, value: "" },
    { key: "empty", operator: LabelOperator.EQUALS, value: "" },
  ]);
});

test("names every mistake in conditions on labels", () => {
  const keys =
    "state, provider, location, min-memory, min-disk, min-threads, heartbeat-older-than, heartbeat-younger-than, in-state-longer-than, in-state-shorter-than, issue, held, state-overdue, blocked, id, label.KEY, missing";
  const rule = 'write at most 63 letters, digits, ".", "_" and "-" that begin and end with a letter or digit';
  expect(() => parseSelector(["label.,label.-x=1,label.rack=a b,!label.rack=r1,labels.rack=r1"])).toThrow(
    new ConfigError([
      `--selector: "" is not a label's key: ${rule}`,
      `--selector: "-x" is not a label's key: ${rule}`,
      `--selector: "a b" is not a label's value: ${rule}`,
      '--selector: "!label.rack=r1": write label.rack!=r1',
      `--selector: "labels.rack" is not a key (there are ${keys})`,
    ]),
  );
});

test("names every mistake at once, with what was meant", () => {
  const selectors = [
    "stat=stale,state=instaled,min-memory=lots,heartbeat-older-than=2,id=7",
    "provider=,location,provider=a,provider=b",
  ];
  expect(() => parseSelector(selectors)).toThrow(
    new ConfigError([
      '--selector: "stat" is not a key, did you mean state?',
      '--selector: state: "instaled" is not a state, did you mean installed?',
      '--selector: min-memory: "lots" is not an amount of bytes such as 16GiB or 1TB',
      '--selector: heartbeat-older-than: "2" is not a duration such as 90s, 15m, 2h or 30d',
      "--selector: id: a machine id is a UUID such as 4b9f3a52-2f0c-4a53-9d0e-6f1f3f1f9c11",
      "--selector: provider needs a value: provider=…",
      "--selector: location needs a value: location=…",
      "--selector: provider is given twice",
    ]),
  );
});

test.each([
  ["missing=yes", '"missing=yes": write missing or !missing, without a value'],
  ["missing,!missing", "missing is given twice"],
  ["held=yes,held=no", "held is given twice"],
  ["state=stale,", "a condition is empty: write KEY=VALUE"],
])("says of %s what is wrong with it", (selector, mistake) => {
  expect(() => parseSelector([selector])).toThrow(new ConfigError([`--selector: ${mistake}`]));
});

test.each(["", ",", "constructor=x", "__proto__=x", "provider=x,"])("never takes %j for all machines", (selector) => {
  expect(() => parseSelector([selector])).toThrow(ConfigError);
});
