/** A token goes to the server of the home and to nobody who listens in its place. */
import { once } from "node:events";
import { access, readFile, stat } from "node:fs/promises";
import { get } from "node:http";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { leaveLocalAdminUrl } from "../../../src/base/local-server.ts";
import { findServerKey } from "../../../src/base/server-proof.ts";
import { createProvingAgent } from "../../../src/cli/operator/proving-agent.ts";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";
import { runProgram } from "../../support/program.ts";
import { type ServerProcess, startServerProcess } from "../../support/server-process.ts";
import { findSteadyAddress } from "../../support/steady-port.ts";

let database: TestDatabase;
let server: ServerProcess;
let token: string;

beforeEach(async () => {
  database = await createTestDatabase();
  server = await startServerProcess({ DATABASE_URL: database.url, BMAAS_ADMIN_LISTEN: await findSteadyAddress() });
  token = (await readFile(join(server.home, "admin.token"), "utf8")).trim();
});

afterEach(async () => {
  await server.stop();
  await database.close();
});

const whoami = () => runProgram(["tokens", "whoami"], { environment: { BMAAS_HOME: server.home } });
const adminUrlFile = () => join(server.home, "admin.url");
const portOf = (url: string) => Number(new URL(url).port);

/** Somebody else of this machine who listens and remembers all that is said. */
async function startStranger(port: number, answer: (socket: Socket, said: Buffer) => void) {
  let heard = "";
  const stranger: Server = createServer((socket) => {
    socket.on("error", () => {});
    socket.on("data", (said) => {
      heard += said.toString("latin1");
      answer(socket, said);
    });
  });
  stranger.listen(port, "127.0.0.1");
  await once(stranger, "listening");
  onTestFinished(() => void stranger.close());
  return { port: (stranger.address() as AddressInfo).port, heard: () => heard };
}

const flatterer = (socket: Socket) => {
  const body = JSON.stringify({ actor: "token:bootstrap", role: "ROLE_ADMIN" });
  socket.write(`HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`);
};

const refusal = /^bmaas: the process that listens at http:\/\/127\.0\.0\.1:\d+ is not the server .*no token was sent/;

test("a command finds its server, which proves itself, by the home alone", async () => {
  const { status, stdout, stderr } = await whoami();
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  expect(stdout).toMatch(/^you are +token:bootstrap\n/);
  expect((await stat(join(server.home, "server.key"))).mode & 0o777).toBe(0o600);
  expect(server.output.stdout).not.toContain(await findServerKey(server.home));
});

test("a server that ends takes its address back; whoever listens there then gets no token", async () => {
  await server.stop();
  await expect(access(adminUrlFile())).rejects.toMatchObject({ code: "ENOENT" });
  const stranger = await startStranger(portOf(server.adminUrl), flatterer);
  await leaveLocalAdminUrl(server.home, server.adminUrl);
  expect(await whoami()).toEqual({ status: 6, stdout: "", stderr: expect.stringMatching(refusal) });
  expect(stranger.heard()).toMatch(/^GET \/server-proof\/[0-9a-f]{64} HTTP\/1\.1\r\n/);
  expect(stranger.heard()).not.toContain(token);
});

test("a server leaves alone the address that another one has left since", async () => {
  await leaveLocalAdminUrl(server.home, "http://127.0.0.1:1");
  await server.stop();
  expect(await readFile(adminUrlFile(), "utf8")).toBe("http://127.0.0.1:1\n");
});

describe("after a crash, which leaves the address,", () => {
  beforeEach(async () => {
    server.kill("SIGKILL");
    await server.ended;
    expect(await readFile(adminUrlFile(), "utf8")).toBe(`${server.adminUrl}\n`);
  });

  test("nobody who listens there gets the token", async () => {
    const stranger = await startStranger(portOf(server.adminUrl), flatterer);
    expect(await whoami()).toMatchObject({ status: 6, stderr: expect.stringMatching(refusal) });
    expect(stranger.heard()).not.toContain(token);
  });

  test("nobody who asks the real server, which listens elsewhere now, for its proof gets the token", async () => {
    const { adminUrl } = server;
    server = await startServerProcess({ DATABASE_URL: database.url, BMAAS_HOME: server.home });
    await leaveLocalAdminUrl(server.home, adminUrl);
    const real = portOf(server.adminUrl);
    const stranger = await startStranger(portOf(adminUrl), (socket, said) => {
      const relayed = connect(real, "127.0.0.1").on("error", () => {});
      relayed.pipe(socket);
      relayed.write(said);
    });
    expect(await whoami()).toMatchObject({ status: 6, stderr: expect.stringMatching(refusal) });
    expect(stranger.heard()).toContain("/server-proof/");
    expect(stranger.heard()).not.toContain(token);
  });

  test("a command says that no server answers where nobody listens", async () => {
    expect(await whoami()).toMatchObject({ status: 6, stderr: expect.stringMatching(/^bmaas: no server answers at/) });
  });
});

test("every connection is proved, those that follow on a lost one as well", async () => {
  const agent = createProvingAgent((await findServerKey(server.home)) ?? "");
  const call = () =>
    new Promise((resolve, reject) => {
      const headers = { authorization: `Bearer ${token}` };
      const request = get(`${server.adminUrl}/healthz`, { agent, headers }, (answer) => {
        answer.resume().once("end", () => resolve(answer.statusCode));
      });
      request.on("error", reject);
    });
  expect(await call()).toBe(200);
  await server.stop();
  const stranger = await startStranger(portOf(server.adminUrl), flatterer);
  await expect(call()).rejects.toMatchObject({ code: "SERVER_UNPROVEN" });
  expect(stranger.heard()).not.toContain(token);
  agent.destroy();
});
