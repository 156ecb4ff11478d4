/** How many files a heartbeat enters: those that its reader has to open. */
import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { grpcAgent } from "../support/agents.ts";
import { createTestDatabase } from "../support/database.ts";
import { machineWithAgent } from "../support/machine.ts";
import { makeFolder, sourceFile } from "../support/program.ts";
import { startServerProcess } from "../support/server-process.ts";
import { waitUntil } from "../support/wait.ts";

const recorder = new URL("../support/record-entered-files.ts", import.meta.url).href;
const sources = new URL("../../src/", import.meta.url).href;
const maxFiles = 40;

test(`a heartbeat over gRPC enters at most ${maxFiles} files`, async () => {
  const database = await createTestDatabase();
  await using cleanUp = new AsyncDisposableStack();
  cleanUp.defer(() => database.close());
  const enteredFile = join(await makeFolder(), "entered");
  const server = cleanUp.use(
    await startServerProcess(
      {
        DATABASE_URL: database.url,
        BMAAS_UNARY_LANE: "on",
        NODE_OPTIONS: `--import=${recorder}`,
        ENTERED_FILES_FILE: enteredFile,
      },
      // A bundle does not tell which sources it consists of.
      sourceFile,
    ),
  );
  const takeEntered = async () => {
    await rm(enteredFile, { force: true });
    server.kill("SIGUSR2");
    const text = await waitUntil("the files are written", () => readFile(enteredFile, "utf8").catch(() => undefined));
    const urls = text.split("\n").filter((url) => url.startsWith(sources));
    return new Set(urls.map((url) => url.slice(sources.length)));
  };
  const { machineId, key } = await machineWithAgent(database.db);
  using agent = grpcAgent(server, key);
  // The first one also opens the connection, and what the server does by the clock is in some of the rounds only.
  await agent.heartbeat({ machineId });
  const rounds: Set<string>[] = [];
  for (let round = 0; round < 4; round++) {
    await takeEntered();
    await agent.heartbeat({ machineId });
    rounds.push(await takeEntered());
  }
  const entered = [...(rounds[0] ?? [])].filter((path) => rounds.every((round) => round.has(path)));
  // An empty list would mean that nothing was measured.
  expect(entered).toContain("agent-callback/heartbeat.ts");
  const list = entered.sort();
  expect(list.length, `it enters ${list.length} files:\n${list.join("\n")}`).toBeLessThanOrEqual(maxFiles);
});
