/** Workers share the work of their server, and are replaced when they die and when they are to be. */
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { copyFile, cp, mkdtemp, readFile, symlink, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { connect as connectTls } from "node:tls";
import { afterAll, beforeAll, expect, inject, test } from "vitest";
import { ensureDevelopmentTls } from "../../src/tls/development-ca.ts";
import { codeOf, grpcAgent } from "../support/agents.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { machineWithAgent } from "../support/machine.ts";
import { type ServerProcess, startServerProcess } from "../support/server-process.ts";
import { waitUntil } from "../support/wait.ts";
import {
  findServed,
  listWorkers,
  openSessions,
  replaceWorkers,
  startWithWorkers,
} from "../support/worker-processes.ts";

/** Servers and workers start one after the other, which takes a busy machine long. */
const timeout = 400_000;

let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
});

afterAll(() => database?.close());

test("both workers serve both listeners, and one that is killed is replaced while the other goes on", {
  timeout,
}, async () => {
  await using server = await startWithWorkers(database);
  const workers = await listWorkers(server);
  expect(workers.toSorted()).toEqual(findServed(server).toSorted());
  expect(workers).toHaveLength(2);
  const opened = await openSessions(server, 6);
  const isOpen = (url: string) => opened.filter((each) => each.url === url).map(({ session }) => !session.destroyed);

  process.kill(workers[0] ?? 0, "SIGKILL");
  await waitUntil("the connections of one worker are gone, on both ports", () =>
    [server.agentUrl, server.adminUrl].every((url) => isOpen(url).includes(false)),
  );
  for (const url of [server.agentUrl, server.adminUrl]) expect(isOpen(url)).toContain(true);
  await waitUntil("another one serves", () => findServed(server).length === 3);
  expect(await listWorkers(server)).toEqual(expect.arrayContaining([workers[1], findServed(server)[2]]));
  expect(server.logged.find(({ msg }) => msg === "replacing a worker that exited unexpectedly")).toMatchObject({
    level: 50,
    pid: workers[0],
    reason: "SIGKILL",
  });
  const machine = await machineWithAgent(database.db);
  for (let call = 0; call < 4; call++) {
    const agent = grpcAgent(server, machine.key);
    expect(await codeOf(agent.heartbeat({ machineId: machine.machineId }))).toBe("ok");
    agent[Symbol.dispose]();
  }
  for (const { session } of opened) session.destroy();
});

test("a successor that does not come to serve leaves those that serve as they are", { timeout }, async () => {
  await using server = await startWithWorkers(database);
  const before = await listWorkers(server);
  server.kill("SIGHUP");
  const successor = await waitUntil("a successor begins", async () =>
    (await listWorkers(server)).find((pid) => !before.includes(pid)),
  );
  process.kill(successor, "SIGKILL");
  const line = await waitUntil("the log says so", () =>
    server.logged.find(({ msg }) => msg === "the workers are not replaced and continue to serve"),
  );
  expect(line).toMatchObject({ level: 50, err: { message: "a worker exited before it was ready: SIGKILL" } });
  // The one that failed may not be quite gone.
  await expect.poll(() => listWorkers(server)).toEqual(before);
});

test("files of another version are for the next start: no worker runs them beside the old ones", {
  timeout,
}, async () => {
  const folder = await mkdtemp(join(inject("testFolder"), "copy-"));
  for (const name of ["src", "gen", "drizzle"]) await cp(name, join(folder, name), { recursive: true });
  await symlink(resolve("node_modules"), join(folder, "node_modules"));
  const description = await readFile("package.json", "utf8");
  await writeFile(join(folder, "package.json"), description);
  const environment = { DATABASE_URL: database.url, BMAAS_WORKERS: "2" };
  await using server = await startServerProcess(environment, join(folder, "src", "main.ts"));
  const before = await listWorkers(server);
  await writeFile(join(folder, "package.json"), description.replace(/"version": ".*"/, '"version": "99.0.0"'));
  server.kill("SIGHUP");
  const line = await waitUntil("the log says so", () =>
    server.logged.find(({ msg }) => String(msg).startsWith("the workers are not replaced")),
  );
  expect(line).toMatchObject({
    err: { message: expect.stringMatching(/bmaas \d.*files are of 99\.0\.0: restart it$/) },
  });
  // The one that failed may not be quite gone.
  await expect.poll(() => listWorkers(server)).toEqual(before);
});

test("SIGHUP brings the certificate and ticket secret that are there now; if one is broken, both stay, and it is told", {
  timeout,
}, async () => {
  const folder = await mkdtemp(join(inject("testFolder"), "certificates-"));
  const [first, second] = await Promise.all([
    ensureDevelopmentTls(join(folder, "first"), ["127.0.0.1"]),
    ensureDevelopmentTls(join(folder, "second"), ["127.0.0.1"]),
  ]);
  const files = { cert: join(folder, "cert.pem"), key: join(folder, "key.pem") };
  const use = async ({ certFile, keyFile }: typeof first) => {
    await copyFile(certFile, files.cert);
    await copyFile(keyFile, files.key);
  };
  await use(first);
  const secretFile = join(folder, "tickets.secret");
  await writeFile(secretFile, randomBytes(48).toString("base64"), { mode: 0o644 });
  await using server = await startWithWorkers(database, {
    BMAAS_TLS_CERT: files.cert,
    BMAAS_TLS_KEY: files.key,
    BMAAS_TLS_TICKET_SECRET: secretFile,
  });
  const before = await listWorkers(server);
  expect(server.logged.map(({ msg }) => String(msg))).toContain(
    `${secretFile} holds the secret of TLS tickets that other users can reach: run chmod o= ${secretFile}`,
  );

  const findRefusals = () => server.logged.filter(({ msg }) => String(msg).startsWith("the workers are not replaced"));
  await writeFile(files.cert, "-----BEGIN CERTIFICATE-----\nnone\n-----END CERTIFICATE-----\n");
  server.kill("SIGHUP");
  await waitUntil("the log says so", () => findRefusals().length === 1);
  // A sound certificate does not count beside a secret that is none.
  await use(second);
  await writeFile(secretFile, "none");
  server.kill("SIGHUP");
  await waitUntil("the log says so again", () => findRefusals().length === 2);
  expect(findRefusals()).toMatchObject(
    [files.cert, secretFile].map((file) => ({
      level: 50,
      err: { type: "ConfigError", message: expect.stringContaining(file) },
    })),
  );
  // The one that failed may not be quite gone.
  await expect.poll(() => listWorkers(server)).toEqual(before);
  // One that dies meanwhile is replaced all the same, with the certificate that was sound.
  process.kill(before[0] ?? 0, "SIGKILL");
  await waitUntil("it is replaced", () => findServed(server).length === 3);
  expect(await findIssuer(server, first.caFile)).toBe("trusted");

  await writeFile(secretFile, randomBytes(48).toString("base64"));
  await replaceWorkers(server);
  for (let connection = 0; connection < 4; connection++) {
    expect(await findIssuer(server, second.caFile)).toBe("trusted");
    expect(await findIssuer(server, first.caFile)).not.toBe("trusted");
  }
});

/** Whether a new connection shows a certificate that comes from this CA; what is wrong with it otherwise. */
async function findIssuer({ agentUrl }: ServerProcess, caFile: string): Promise<string> {
  const { hostname, port } = new URL(agentUrl);
  const socket = connectTls({
    host: hostname,
    port: Number(port),
    ca: await readFile(caFile),
    rejectUnauthorized: false,
  });
  await once(socket, "secureConnect");
  socket.destroy();
  return socket.authorized ? "trusted" : String(socket.authorizationError);
}
