/** `--wait` as people see it: a bar, colours, and Ctrl-C. */
import { beforeAll, describe, expect, test } from "vitest";
import { grpcAgent } from "../../support/agents.ts";
import type { TestDatabase } from "../../support/database.ts";
import { readInstallation } from "../../support/installation.ts";
import { machineWithAgent, requestInstallation, testImage } from "../../support/machine.ts";
import { tokenOf } from "../../support/operator.ts";
import { hasTerminals, type OperatorCommand, operatorCommand } from "../../support/operator-command.ts";
import { startServerWithDatabase, type TestServer } from "../../support/server.ts";

describe.skipIf(!hasTerminals)("on a terminal (skipped without script of util-linux)", () => {
  let database: TestDatabase;
  let server: TestServer;
  let secret: string;
  let operator: OperatorCommand;

  beforeAll(async () => {
    ({ database, server } = await startServerWithDatabase());
    ({ secret } = await tokenOf(database.db, "operator"));
    operator = operatorCommand(server.adminUrl, secret);
  });

  test("an installation is a bar with phase and percent, until it has succeeded", async () => {
    const { machineId, key } = await machineWithAgent(database.db);
    const { url, digest, rootDevice } = testImage;
    const image = ["--image", url, "--digest", digest, "--root-device", rootDevice, "--unchecked-disk"];
    const terminal = await operator.startOnTerminal("install", "request", machineId, ...image, "--wait");
    await terminal.waitFor("]   0 %  pending: waiting for a heartbeat");
    using agent = grpcAgent(server, key);
    await agent.heartbeat({ machineId });
    const progress = { generation: 1n, phase: "writing\u001b]0;owned\u0007 the image", percent: 50 };
    await agent.heartbeat({ machineId, installationProgress: progress });
    await terminal.waitFor("[============>           ]  50 %  installing: writing\\u{1b}]0;owned\\u{7} the image");
    await agent.heartbeat({
      machineId,
      installationReport: { generation: 1n, result: { case: "success", value: {} } },
    });
    expect(await terminal.exited).toBe(0);
    // The bar is gone, and the outcome stands.
    expect(terminal.shown()).toMatch(new RegExp(`\r\u001b\\[K${machineId}  generation 1 succeeded after \\d+ s\r\n$`));
    expect(terminal.shown()).not.toContain("\u001b]0;owned");
  });

  test("Ctrl-C ends the waiting and says so, and not the installation", async () => {
    const { machineId } = await machineWithAgent(database.db);
    await requestInstallation(database.db, machineId);
    const terminal = await operator.startOnTerminal("install", "get", machineId, "--wait");
    await terminal.waitFor("pending: waiting for a heartbeat");
    terminal.type("\u0003");
    expect(await terminal.exited).toBe(130);
    expect(terminal.shown()).toContain("bmaas: stopped waiting; generation 1 continues (bmaas install get");
    expect(await readInstallation(database, machineId, 1n)).toMatchObject({
      cancelledAt: null,
      supersededAt: null,
      finishedAt: null,
    });
  });

  test("states have colours, but under NO_COLOR", async () => {
    const { machineId } = await machineWithAgent(database.db);
    await requestInstallation(database.db, machineId);
    const colourless = operatorCommand(server.adminUrl, secret, { NO_COLOR: "1" });
    const list = ["machines", "list", "--selector", `id=${machineId}`];
    const [coloured, plain] = await Promise.all([
      operator.startOnTerminal(...list),
      colourless.startOnTerminal(...list),
    ]);
    expect([await coloured.exited, await plain.exited]).toEqual([0, 0]);
    expect(coloured.shown()).toContain("\u001b[36minstallation_pending\u001b[39m");
    expect(plain.shown()).toMatch(new RegExp(`\n${machineId}  installation_pending  `));
    expect(plain.shown()).not.toContain("\u001b");
  });
});
