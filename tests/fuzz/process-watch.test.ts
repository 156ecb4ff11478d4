import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { expect, test } from "vitest";
import { hasSettled, ProcessWatch } from "../../fuzz/process-watch.ts";

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
    for (let left = 10; left > 0; left--) {
      const client = connect(port, "127.0.0.1").on("error", () => {});
      await once(client, "connect");
      client.resetAndDestroy();
    }
    await expect.poll(() => accepted.length).toBe(10);
    const held = await watch.settle(0);
    expect(held).toEqual({ before: [expect.any(Number)], after: [(held?.before[0] ?? 0) + 10] });
    expect(hasSettled(held)).toBe(false);
    for (const socket of accepted) socket.destroy();
    await expect.poll(async () => hasSettled(await watch.settle(0))).toBe(true);
    expect(watch.end().every(({ residentBytes }) => (residentBytes[0] ?? 0) > 0)).toBe(true);
    server.close();
  },
);
