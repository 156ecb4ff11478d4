/** Calls are repeated while a server cannot answer, and a change is made once however often its call is sent. */
import { once } from "node:events";
import { createServer, request as forward, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { eq } from "drizzle-orm";
import { expect, onTestFinished, test } from "vitest";
import { InstallationService } from "../../../gen/bmaas/admin/v1/installation_service_pb.js";
import { MachineService } from "../../../gen/bmaas/admin/v1/machine_service_pb.js";
import { osInstallationRequest } from "../../../src/db/schema/index.ts";
import { createTestDatabase } from "../../support/database.ts";
import { bareMachine, testImage } from "../../support/machine.ts";
import { connectTo, tokenOf } from "../../support/operator.ts";
import { startTestServer } from "../../support/server.ts";
import { startTcpProxy } from "../../support/tcp-proxy.ts";

async function listen(handle: RequestListener): Promise<string> {
  const server = createServer(handle).listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => void server.close());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

test("a change whose answer was lost is made once, and its repeat gets the answer", async () => {
  const database = await createTestDatabase();
  onTestFinished(() => database.close());
  const server = await startTestServer(database.url);
  onTestFinished(() => server.close());
  let calls = 0;
  const url = await listen((incoming, outgoing) => {
    const { method, headers, url: path } = incoming;
    const upstream = forward(new URL(path ?? "", server.adminUrl), { method, headers, agent: false }, (answer) => {
      calls += 1;
      if (calls > 1) {
        outgoing.writeHead(answer.statusCode ?? 0, answer.headers);
        answer.pipe(outgoing);
        return;
      }
      // The server has answered, so it has committed; the caller never hears of it.
      answer.resume().on("end", () => incoming.socket.destroy());
    });
    incoming.pipe(upstream);
  });
  const adminToken = (await tokenOf(database.db, "operator")).secret;
  const client = (await connectTo(url, adminToken)).client(InstallationService);
  const machineId = await bareMachine(database.db);
  const target = { type: { case: "image" as const, value: testImage } };
  const { installation } = await client.requestInstallation({ uncheckedDisk: true, machineId, target });
  expect([calls, installation?.generation]).toEqual([2, 1n]);
  const table = osInstallationRequest;
  expect(await database.db.select().from(table).where(eq(table.machineId, machineId))).toHaveLength(1);
});

test("a call is repeated while the database is away, and not before the server says", async () => {
  const database = await createTestDatabase();
  onTestFinished(() => database.close());
  await using proxy = await startTcpProxy(database.url);
  const server = await startTestServer(proxy.url);
  onTestFinished(() => server.close());
  const adminToken = (await tokenOf(database.db, "operator")).secret;
  const client = (await connectTo(server.adminUrl, adminToken)).client(MachineService);
  await proxy.setMode("refuse");
  const created = client.createMachine({});
  created.catch(() => {});
  await expect.poll(() => countCalls(server.logged, "unavailable")).toBe(1);
  await proxy.setMode("pass");
  expect((await created).machine?.id).toMatch(/^[0-9a-f-]{36}$/);
  expect(countCalls(server.logged, "unavailable")).toBe(1);
});

/** How many calls of the log ended with a code. */
function countCalls(logged: readonly Record<string, unknown>[], code: string): number {
  return logged.filter((line) => line.method === "bmaas.admin.v1.MachineService/CreateMachine" && line.code === code)
    .length;
}

test("a call is given up after the sixth try", async () => {
  let calls = 0;
  const url = await listen((_request, response) => {
    calls += 1;
    response.writeHead(503).end();
  });
  const client = (await connectTo(url, "t")).client(MachineService);
  await expect(client.listMachines({})).rejects.toThrow(/unavailable/);
  expect(calls).toBe(6);
});

test("what the caller did wrong is not repeated", async () => {
  let calls = 0;
  const url = await listen((_request, response) => {
    calls += 1;
    response.writeHead(404, { "content-type": "application/json" }).end('{"code":"not_found"}');
  });
  const client = (await connectTo(url, "t")).client(MachineService);
  await expect(client.listMachines({})).rejects.toThrow(/not_found/);
  expect(calls).toBe(1);
});
