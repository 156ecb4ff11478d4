import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { expect, test } from "vitest";
import { hasSettled, ProcessWatch } from "../../fuzz/process-watch.ts";

/** Many more than other tests leave. */
const heldCount = 30;

test.skipIf(process.platform !== "linux")(
  "a connection that a server does not let go of is seen, also after its reset",
  async () => {
    const accepted: Socket[] = [];
    // Nobody reads, and nobody notices the end.
    const server = createServer({ pauseOnConnect: true }, (socket) => accepted.push(socket.on("error", () => {})));
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    const watch = new ProcessWatch(
      () => [{ pid: process.pid, ports: [port] }],
      () => 0,
    );
    await watch.begin();
    expect(hasSettled(await watch.settle(0))).toBe(true);
    for (let left = heldCount; left > 0; left--) {
      const client = connect(port, "127.0.0.1").on("error", () => {});
      await once(client, "connect");
      client.resetAndDestroy();
    }
    await expect.poll(() => accepted.length).toBe(heldCount);
    const held = await watch.settle(0);
    // Connections of earlier tests in this process may end meanwhile.
    expect(held?.after[0]).toBeGreaterThanOrEqual(heldCount);
    expect(held?.after[0]).toBeLessThanOrEqual((held?.before[0] ?? 0) + heldCount);
    expect(hasSettled(held)).toBe(false);
    for (const socket of accepted) socket.destroy();
    await expect.poll(async () => hasSettled(await watch.settle(0))).toBe(true);
    expect(watch.end().every(({ residentBytes }) => (residentBytes[0] ?? 0) > 0)).toBe(true);
    server.close();
  },
);
