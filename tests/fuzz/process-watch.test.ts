import { spawn } from "node:child_process";
import { once } from "node:events";
import { connect } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { hasSettled, ProcessWatch } from "../../fuzz/process-watch.ts";

const heldCount = 30;
/** A server that neither reads from its connections nor notices their end, until it is told to destroy them. */
const holdingServer = `
  const accepted = [];
  const server = require("node:net").createServer({ pauseOnConnect: true }, (socket) => {
    accepted.push(socket.on("error", () => {}));
    process.send({ accepted: accepted.length });
  });
  server.listen(0, "127.0.0.1", () => process.send({ port: server.address().port }));
  process.on("message", () => {
    for (const socket of accepted) socket.destroy();
  });
`;

test.skipIf(process.platform !== "linux")(
  "a connection that a server does not let go of is seen, also after its reset",
  async () => {
    const server = spawn(process.execPath, ["-e", holdingServer], { stdio: ["ignore", "inherit", "inherit", "ipc"] });
    onTestFinished(() => void server.kill());
    let acceptedCount = 0;
    server.on("message", ({ accepted = 0 }: { accepted?: number }) => (acceptedCount = accepted));
    const [{ port }] = await once(server, "message");
    const watch = new ProcessWatch(
      () => [{ pid: server.pid ?? 0, ports: [port] }],
      () => 0,
    );
    await watch.begin();
    expect(hasSettled(await watch.settle(0))).toBe(true);
    for (let left = heldCount; left > 0; left--) {
      const client = connect(port, "127.0.0.1").on("error", () => {});
      await once(client, "connect");
      client.resetAndDestroy();
    }
    await expect.poll(() => acceptedCount).toBe(heldCount);
    const held = await watch.settle(0);
    expect(held).toEqual({ before: [0], after: [heldCount] });
    expect(hasSettled(held)).toBe(false);
    server.send("destroy them");
    await expect.poll(() => watch.settle(0)).toEqual({ before: [0], after: [0] });
    expect(watch.end().every(({ residentBytes }) => (residentBytes[0] ?? 0) > 0)).toBe(true);
  },
);
