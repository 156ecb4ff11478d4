/** What is wrong with a fleet is read in the same words in `bmaas issues`, in Prometheus's alerts and by receivers. */
import { readFileSync } from "node:fs";
import { expect, onTestFinished, test } from "vitest";
import { parse } from "yaml";
import { BlockDevice_Kind as Kind } from "../../gen/cloud/agent/api/hwreport_pb.js";
import { grpcAgent } from "../support/agents.ts";
import { createTestDatabase } from "../support/database.ts";
import { sda } from "../support/hardware.ts";
import { machineWithAgent } from "../support/machine.ts";
import { scrape } from "../support/metrics.ts";
import { tokenOf } from "../support/operator.ts";
import { operatorCommand } from "../support/operator-command.ts";
import { allowLoopback, createReceiver } from "../support/receivers.ts";
import { startTestServer } from "../support/server.ts";
import { waitUntil } from "../support/wait.ts";
import { startReceiver } from "../support/webhook-receiver.ts";

/** An issue as JSON has it. */
type Words = Readonly<Record<"type" | "severity" | "target" | "summary" | "detail", string>>;
type ListedIssue = Words & { readonly machineId: string };

test("a disk is found, a held machine refuses, and issues read alike everywhere", { timeout: 180_000 }, async () => {
  const database = await createTestDatabase();
  onTestFinished(() => database.close());
  await using server = await startTestServer(database.url, allowLoopback);
  const { secret } = await tokenOf(database.db, "operator");
  const bmaas = operatorCommand(server.adminUrl, secret);
  const receiver = await startReceiver();
  await createReceiver(database.db, server.adminUrl, { name: "log", url: receiver.url, events: ["issue.*"] });

  // Two agents with one serial number, and a third one whose machine boots again and again.
  const fleet = await Promise.all([1, 2, 3].map(() => machineWithAgent(database.db)));
  const [first = "", second = "", third = ""] = fleet.map(({ machineId }) => machineId);
  for (const [index, { machineId, key }] of fleet.entries()) {
    using agent = grpcAgent(server, key);
    const disk = { ...sda, kind: Kind.DISK, serialNumber: `DISK-${index}`, wwn: new Uint8Array() };
    const report = { serialNumber: index < 2 ? "SN-4711" : "SN-4712", blockDevice: [disk] };
    await agent.heartbeat({ machineId, bootId: "boot 0", hardwareReport: { report } });
    for (const boot of index < 2 ? [] : [1, 2, 3]) await agent.heartbeat({ machineId, bootId: `boot ${boot}` });
  }

  expect(await bmaas.json("machines", "find", "DISK-1")).toMatchObject({ results: [{ machine: { id: second } }] });
  await bmaas.run("machines", "hold", second, "--reason", "open on the bench", "--ticket", "https://tickets.example/7");
  const request = [
    "--disk",
    "only",
    "--image",
    "https://images.example/os.img",
    "--digest",
    `sha256:${"ab".repeat(32)}`,
  ];
  expect(await bmaas.run("install", "request", second, ...request, "--yes")).toMatchObject({
    status: 4,
    stderr: expect.stringMatching(/held.*open on the bench.*tickets\.example\/7/s),
  });

  const expected = [
    [first, "shared_serial_number", "serial number SN-4711", "another machine has the same serial number"],
    [second, "shared_serial_number", "serial number SN-4711", "another machine has the same serial number"],
    [third, "boot_loop", "", "the machine boots again and again"],
  ].toSorted();
  const wordsOf = (machineId: string, { type, target, summary }: Words) => [machineId, type, target, summary];
  const listed = await waitUntil("the issues are listed", async () => {
    const issues = (await bmaas.json("issues")).issues as unknown as readonly ListedIssue[];
    return issues.length >= 3 && issues;
  });
  expect(listed.map((issue) => wordsOf(issue.machineId, issue)).toSorted()).toEqual(expected);

  const messages = await waitUntil("the receiver is told", () => {
    const opened = receiver.messages.filter(({ type }) => type === "issue.opened");
    return opened.length >= 3 && opened;
  });
  const told = messages.map(({ machineId, data }) => ({
    machineId,
    issue: data.issue as Words,
    text: String(data.text),
  }));
  expect(told.map(({ machineId, issue }) => wordsOf(machineId, issue)).toSorted()).toEqual(expected);
  for (const { machineId, text, issue } of told) {
    const row = listed.find((each) => each.machineId === machineId);
    expect(text).toBe(
      `machine ${machineId}: ${[issue.summary, issue.target, issue.detail].filter(Boolean).join(": ")}`,
    );
    // The count of boots may have grown meanwhile.
    expect(issue.detail.split(" ", 3)).toEqual(row?.detail.split(" ", 3));
  }

  const page = await waitUntil("the issues are counted", async () => {
    const seen = await scrape(server.adminUrl, secret);
    return seen.find("bmaas_fleet_issues", { type: "boot_loop", severity: "warning" }) === 1 && seen;
  });
  expect(page.find("bmaas_fleet_issues", { type: "shared_serial_number", severity: "warning" })).toBe(2);
  for (const { type, summary } of listed) expect(page.find("bmaas_issue_type_info", { type, summary })).toBe(1);
  const { groups } = parse(readFileSync("docs/prometheus/rules.yaml", "utf8"));
  const rules = (groups as { rules: { alert: string; expr: string; annotations: { summary: string } }[] }[]).flatMap(
    ({ rules: of }) => of,
  );
  const alert = rules.find((rule) => rule.alert === "BmaasWarningIssues");
  expect(alert?.annotations.summary).toContain('printf "bmaas_issue_type_info{type=%q}" $labels.type');
  expect(alert?.expr).toMatch(/^max by \(type\) \(bmaas_fleet_issues\{severity="warning"/);
});
