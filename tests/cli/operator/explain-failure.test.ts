/** What failed calls become for people and scripts, from the errors that a real server and real networks give. */
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { createServer as createHttpServer } from "node:http";
import { type AddressInfo, createServer } from "node:net";
import { Code, ConnectError } from "@connectrpc/connect";
import { beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { AgentService } from "../../../gen/bmaas/admin/v1/agent_service_pb.js";
import { InstallationService } from "../../../gen/bmaas/admin/v1/installation_service_pb.js";
import { MachineService } from "../../../gen/bmaas/admin/v1/machine_service_pb.js";
import { CommandFailure } from "../../../src/cli/operator/exit-status.ts";
import { toCommandFailure } from "../../../src/cli/operator/explain-failure.ts";
import type { TestDatabase } from "../../support/database.ts";
import { bareMachine, machineWithAgent, requestInstallation } from "../../support/machine.ts";
import { adminClient, tokenOf } from "../../support/operator.ts";
import { startServerWithDatabase, type TestServer } from "../../support/server.ts";
import { giveHostsAddresses } from "../../support/several-addresses.ts";

let database: TestDatabase;
let server: TestServer;
let admin: string;

beforeAll(async () => {
  ({ database, server } = await startServerWithDatabase());
  admin = (await tokenOf(database.db, "admin")).secret;
});

async function failureOf(call: Promise<unknown>, url = server.adminUrl): Promise<CommandFailure> {
  try {
    await call;
  } catch (error) {
    const failure = toCommandFailure(error, {
      url,
      token: "secret",
      tokenSource: "BMAAS_ADMIN_TOKEN",
      isOnLoopback: false,
      key: undefined,
      ca: undefined,
    });
    if (failure instanceof CommandFailure) return failure;
    throw error;
  }
  throw new Error("the call did not fail");
}

describe("an answer of the server", () => {
  test("names every wrong field", async () => {
    const call = adminClient(MachineService, server.adminUrl, admin).createMachine({
      machineId: "7",
      provided: { provider: "", providerId: "x" },
    });
    const failure = await failureOf(call);
    expect(failure).toMatchObject({ status: 2, code: "invalid_argument" });
    expect(failure.message).toMatch(/^machine_id: .*; provided\.provider: /);
  });

  test("names the machine that holds a key", async () => {
    const { machineId: holder, key } = await machineWithAgent(database.db);
    const machineId = await bareMachine(database.db);
    const client = adminClient(AgentService, server.adminUrl, admin);
    const failure = await failureOf(client.registerAgent({ machineId, publicKey: key.publicKey }));
    expect(failure).toMatchObject({ status: 4, code: "already_exists", message: expect.stringContaining(holder) });
  });

  test("says which condition does not hold", async () => {
    const machineId = await bareMachine(database.db);
    await requestInstallation(database.db, machineId);
    const call = adminClient(InstallationService, server.adminUrl, admin).retryInstallation({ machineId });
    const failure = await failureOf(call);
    expect(failure).toMatchObject({ status: 4, code: "failed_precondition", message: expect.stringMatching(/./) });
  });

  test("says whose token is not valid where, and never repeats it", async () => {
    const secret = "bmaas_0000000000000000_0000000000000000000000000000000000000000000";
    const failure = await failureOf(adminClient(MachineService, server.adminUrl, secret).listMachines({}));
    expect(failure).toMatchObject({ status: 5, code: "unauthenticated" });
    expect(failure.message).toMatch(/ \(BMAAS_ADMIN_TOKEN, at http:\/\/127\.0\.0\.1:\d+\)$/);
    expect(failure.message).not.toContain(secret);
  });

  test("is one line that no terminal obeys, whatever the server says", async () => {
    const error = new ConnectError("first\nsecond \u001b[2J", Code.Internal);
    expect(await failureOf(Promise.reject(error))).toMatchObject({ status: 1, message: "first second \\u{1b}[2J" });
  });

  test.each([
    [Code.Unavailable, 6],
    [Code.ResourceExhausted, 6],
    [Code.DeadlineExceeded, 6],
    [Code.NotFound, 3],
    [Code.OutOfRange, 4],
    [Code.Unimplemented, 1],
  ])("of code %d ends with %d", async (code, status) => {
    expect(await failureOf(Promise.reject(new ConnectError("", code)))).toMatchObject({ status });
  });
});

describe("a connection that fails ends with 6", () => {
  test("where nothing listens", async () => {
    const taken = createServer().listen(0, "127.0.0.1");
    await once(taken, "listening");
    const url = `http://127.0.0.1:${(taken.address() as AddressInfo).port}`;
    await new Promise((resolve) => taken.close(resolve));
    const failure = await failureOf(
      adminClient(MachineService, url, admin).getMachine({ machineId: randomUUID() }),
      url,
    );
    expect(failure).toMatchObject({
      status: 6,
      message: expect.stringMatching(/^no server answers at http.* bmaas serve/),
    });
  });

  test("where the host has no address", async () => {
    const url = "http://nowhere.invalid:1";
    const failure = await failureOf(adminClient(MachineService, url, admin).listMachines({}), url);
    expect(failure.status).toBe(6);
    expect(failure.message).toContain(url);
  });

  test("where none of the host's addresses can be reached, and says why", async () => {
    // TCP reaches no broadcast address.
    giveHostsAddresses(["255.255.255.255", "127.0.0.1"]);
    const url = "http://bmaas.example:1";
    const failure = await failureOf(adminClient(MachineService, url, admin).listMachines({}), url);
    expect(failure).toMatchObject({
      status: 6,
      message: expect.stringMatching(
        /^the connection to http:.* failed: connect E\w+ 255\.255\.255\.255:1.*, .* \(E\w+\)$/,
      ),
    });
  });

  test("where https reaches a listener in plaintext", async () => {
    const url = server.adminUrl.replace("http:", "https:");
    const failure = await failureOf(adminClient(MachineService, url, admin).listMachines({}), url);
    expect(failure).toMatchObject({
      status: 6,
      message: `what listens at ${url} does not speak TLS: check the port, or write http:// in --admin-url`,
    });
  });
});

describe("an answer that is not from bmaas ends with 6 and names the address", () => {
  test.each([
    { status: 200, type: "text/html; charset=utf-8", answer: "text/html" },
    { status: 302, type: undefined, answer: "HTTP 302" },
    { status: 403, type: "text/html", answer: "HTTP 403, text/html" },
    { status: 404, type: "text/plain", answer: "HTTP 404, text/plain" },
    { status: 502, type: "text/html", answer: "HTTP 502, text/html" },
  ])("$answer", async ({ status, type, answer }) => {
    const headers = { ...(type && { "content-type": type }), location: "https://login.example/" };
    const web = createHttpServer((_request, response) => response.writeHead(status, headers).end("<html></html>"));
    await once(web.listen(0, "127.0.0.1"), "listening");
    onTestFinished(() => void web.close());
    const url = `http://127.0.0.1:${(web.address() as AddressInfo).port}`;
    const failure = await failureOf(adminClient(MachineService, url, admin).listMachines({}), url);
    expect(failure).toMatchObject({ status: 6, message: expect.stringContaining(`${url} is not bmaas (${answer})`) });
  });
});

test("a method that the server lacks may be too new for it, or behind another path", async () => {
  const url = `${server.adminUrl}/elsewhere`;
  const failure = await failureOf(adminClient(MachineService, url, admin).listMachines({}), url);
  expect(failure).toMatchObject({
    status: 1,
    message: `the server at ${url} does not support this call: it is older than this bmaas, or --admin-url has a wrong path`,
  });
});

test("what is no failed call stays what it is", () => {
  const error = new TypeError("a mistake of our own");
  const server = { url: "http://x", token: "t", tokenSource: "x", isOnLoopback: false, key: undefined, ca: undefined };
  expect(toCommandFailure(error, server)).toBe(error);
});
