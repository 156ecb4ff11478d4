/** Connections that are not read from for a while. */
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { createRestingConnections } from "../../../src/agent-callback/admission/resting-connections.ts";

/** A connection's two ends, and what the server has read of it. */
async function open() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const client = connect((server.address() as AddressInfo).port, "127.0.0.1");
  const [socket] = (await once(server, "connection")) as [Socket];
  let read = "";
  socket.on("data", (bytes) => {
    read += bytes;
  });
  return {
    client,
    connection: { id: socket },
    read: () => read,
    [Symbol.dispose]: () => {
      client.destroy();
      socket.destroy();
      server.close();
    },
  };
}

test("nothing is read until it is woken; the one that rested longest comes first", async () => {
  const resting = createRestingConnections();
  using first = await open();
  using second = await open();
  for (const { connection, client } of [first, second]) {
    resting.rest(connection);
    client.write("again");
  }
  await delay(100);
  expect([first.read(), second.read(), resting.count]).toEqual(["", "", 2]);
  resting.wake(1);
  await expect.poll(first.read).toBe("again");
  expect([second.read(), resting.count]).toEqual(["", 1]);
  resting.wake(10);
  await expect.poll(second.read).toBe("again");
  expect(resting.count).toBe(0);
});

test("nobody rests for more than some seconds", async () => {
  const resting = createRestingConnections();
  using one = await open();
  resting.rest(one.connection);
  one.client.write("again");
  await expect.poll(one.read).toBe("again");
  expect(resting.count).toBe(0);
});

test("an HTTP/2 connection does not rest", () => {
  const resting = createRestingConnections();
  resting.rest({ id: {} });
  expect(resting.count).toBe(0);
});
