/** docs/receivers.md lists what is sent, and its programs work as they stand there. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { sql } from "drizzle-orm";
import { expect, onTestFinished, test } from "vitest";
import { eventTypes, probeType } from "../../src/receivers/event-type.ts";
import { createTestDatabase } from "../support/database.ts";
import { compareNow } from "../support/issue-comparison.ts";
import { issueSituations } from "../support/issue-situation.ts";
import { bareMachine } from "../support/machine.ts";
import { makeFolder } from "../support/program.ts";
import { allowLoopback, createReceiver, endWaits, readDeliveries } from "../support/receivers.ts";
import { startTestServer } from "../support/server.ts";
import { findSteadyPort } from "../support/steady-port.ts";
import { waitUntil } from "../support/wait.ts";

const page = readFileSync("docs/receivers.md", "utf8");

test("lists every type of event, and no other", () => {
  const section = page.split("## Events")[1]?.split("## A message")[0] ?? "";
  const listed = section.split("\n").flatMap((line) => {
    const [, types = ""] = /^\| (`.*?`) +\|/.exec(line) ?? [];
    return [...types.matchAll(/`([a-z._]+)`/g)].map(([, type]) => type);
  });
  expect(listed.toSorted()).toEqual([...eventTypes, probeType].toSorted());
});

/** Saves a program of the page, and runs it until the test ends. */
async function runProgramOf(heading: string, environment: Record<string, string>): Promise<void> {
  const section = page.split(/^## /m).find((part) => part.startsWith(`${heading}\n`)) ?? "";
  const [, program = ""] = /^```js\n(.*?)^```$/ms.exec(section) ?? [];
  const file = join(await makeFolder(), "bridge.mjs");
  await writeFile(file, program);
  const child = spawn(process.execPath, [file], { env: { PATH: process.env.PATH, ...environment }, stdio: "inherit" });
  onTestFinished(() => void child.kill("SIGKILL"));
}

/** A server that others call, which records what it is sent. Answers 500 once, to see that the call is repeated. */
async function startTarget() {
  const calls: { url: string; body: unknown }[] = [];
  const server = createServer(async (request, response) => {
    let body = "";
    for await (const chunk of request.setEncoding("utf8")) body += chunk;
    calls.push({ url: request.url ?? "", body: JSON.parse(body) });
    response.writeHead(calls.length === 1 ? 500 : 200).end("ok");
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => void server.close());
  return { calls, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
}

test("the bridge to a chat posts the text of genuine messages, and has bmaas repeat what the chat refuses", async () => {
  const database = await createTestDatabase();
  onTestFinished(() => database.close());
  await using server = await startTestServer(database.url, allowLoopback);
  const [chat, port] = [await startTarget(), String(await findSteadyPort())];
  const url = `http://127.0.0.1:${port}/`;
  const secret = await createReceiver(database.db, server.adminUrl, { name: "chat", url, events: ["machine.created"] });
  await runProgramOf("A chat", { WEBHOOK_SECRET: secret, CHAT_URL: chat.url, PORT: port });
  const forged = await waitUntil("the bridge answers", () =>
    fetch(url, { method: "POST", body: "{}", headers: { "webhook-id": "msg_1" } }).catch(() => undefined),
  );
  expect(forged.status).toBe(401);
  const machineId = await bareMachine(database.db);
  await waitUntil("it is delivered", async () => (await readDeliveries(database, "chat"))[0]?.state === "delivered");
  const text = expect.stringMatching(new RegExp(`^machine ${machineId}: machine_created by test`));
  expect(chat.calls.map(({ body }) => body)).toEqual([{ text }, { text }]);
});

test("the bridge to Alertmanager makes an alert of an issue, and resolves it", { timeout: 120_000 }, async () => {
  const database = await createTestDatabase();
  onTestFinished(() => database.close());
  await using server = await startTestServer(database.url, allowLoopback);
  const [alertmanager, port] = [await startTarget(), String(await findSteadyPort())];
  const url = `http://127.0.0.1:${port}/`;
  const secret = await createReceiver(database.db, server.adminUrl, {
    name: "am",
    url,
    events: ["issue.*", "machine.*"],
  });
  await runProgramOf("Alertmanager", { WEBHOOK_SECRET: secret, ALERTMANAGER_URL: alertmanager.url, PORT: port });
  await compareNow(database.db);
  const machineId = await issueSituations.installation_failed.make(database.db);
  await waitUntil("the issue is an alert", async () => {
    await endWaits(database.db, "am");
    return alertmanager.calls.length >= 2;
  });
  await database.db.execute(sql`delete from os_installation_report where machine_id = ${machineId}`);
  await waitUntil("it is resolved", () => alertmanager.calls.length >= 3);
  expect(new Set(alertmanager.calls.map((call) => call.url))).toEqual(new Set(["/api/v2/alerts"]));
  const [, opened, closed] = alertmanager.calls.map(({ body }) => (body as readonly Record<string, string>[])[0]);
  const labels = { alertname: "BmaasIssue", issue: "installation_failed", severity: "warning", machine: machineId };
  expect(opened).toMatchObject({ labels, annotations: { description: expect.stringContaining(machineId) } });
  expect(closed).toMatchObject({ labels: opened?.labels, startsAt: opened?.startsAt });
  const end = (alert: Record<string, string> | undefined) => Date.parse(alert?.endsAt ?? "") - Date.now();
  expect(end(opened)).toBeGreaterThan(24 * 3600 * 1000);
  expect(end(closed)).toBeLessThanOrEqual(1000);
});
