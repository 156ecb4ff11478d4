/** A connection of HTTP/1.1 that is reset while requests are under way on it takes nothing else with it. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ensureDevelopmentTls } from "../../src/tls/development-ca.ts";
import { heartbeatPath } from "../support/agents.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { makeFolder } from "../support/program.ts";
import { openRaw } from "../support/raw-connection.ts";
import { type ServerProcess, startServerProcess } from "../support/server-process.ts";

let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(async () => {
  await database?.close();
});

/**
 * Small whole requests in one piece with one whose body is incomplete; the reset comes before, while or after they are
 * answered.
 */
async function resetInMidBody(url: string, ca: string, line: string, attempt: number): Promise<void> {
  const { host } = new URL(url);
  const connection = await openRaw({ url, ca });
  const whole = `GET /healthz HTTP/1.1\r\nHost: ${host}\r\n\r\n`.repeat(attempt % 5);
  const fields = `Host: ${host}\r\nContent-Type: application/json\r\nContent-Length: 1000`;
  connection.socket.write(`${whole}${line} HTTP/1.1\r\n${fields}\r\n\r\n{"machineId"`);
  await delay(attempt % 10);
  connection.reset();
  await connection.closed;
}

/** The settings of a server with TLS on its operators' listener, and the CA of that. */
async function prepareOperatorTls(): Promise<{ settings: Record<string, string>; ca: string }> {
  const folder = await makeFolder();
  const { cert, key, ca } = await ensureDevelopmentTls(folder, ["127.0.0.1"]);
  const files = { BMAAS_ADMIN_TLS_CERT: join(folder, "cert.pem"), BMAAS_ADMIN_TLS_KEY: join(folder, "key.pem") };
  await writeFile(files.BMAAS_ADMIN_TLS_CERT, cert);
  await writeFile(files.BMAAS_ADMIN_TLS_KEY, key, { mode: 0o600 });
  return { settings: files, ca };
}

describe.each([
  ["TLS for agents, none for operators", false],
  ["TLS for operators, none for agents", true],
])("%s", (_name, isTlsForOperators) => {
  let server: ServerProcess;
  let operatorCa = "";

  beforeAll(async () => {
    const settings: Record<string, string> = { DATABASE_URL: database.url };
    if (isTlsForOperators) {
      const operators = await prepareOperatorTls();
      operatorCa = operators.ca;
      Object.assign(settings, operators.settings, { BMAAS_AGENT_TLS: "off" });
    }
    server = await startServerProcess(settings);
  });
  afterAll(async () => {
    await server?.stop();
  });

  test.each([
    ["GET of the heartbeat's path", `GET ${heartbeatPath}`],
    ["a heartbeat", `POST ${heartbeatPath}`],
    ["a call without a token", "POST /bmaas.admin.v1.MachineService/GetMachine"],
    ["reflection", "POST /grpc.reflection.v1.ServerReflection/ServerReflectionInfo"],
    ["/healthz", "GET /healthz"],
    ["a path that nobody serves", "POST /nowhere"],
  ])("reset in the body of %s", async (_what, line) => {
    for (let attempt = 0; attempt < 25; attempt++) {
      await resetInMidBody(server.agentUrl, server.ca, line, attempt);
      await resetInMidBody(server.adminUrl, operatorCa, line, attempt);
    }
    const state = await Promise.race([server.ended, delay(100, "serves")]);
    expect(state, server.output.stderr).toBe("serves");
  });
});
