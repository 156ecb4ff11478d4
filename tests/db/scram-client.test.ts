/** A port on which PostgreSQL was, and somebody else listens now, gets no password and no belief. */
import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { sql } from "drizzle-orm";
import { describe, expect, onTestFinished, test } from "vitest";
import { connectDatabase } from "../../src/db/client.ts";
import { isDatabaseAway } from "../../src/db/errors.ts";
import { openHeartbeatStore } from "../../src/db/heartbeat-store.ts";
import { withScram } from "../../src/db/scram-client.ts";

/** Messages of PostgreSQL's protocol, version 3.0, by which a server asks for a proof or for none. */
const asks = {
  "asks for the password in clear": "R\0\0\0\x08\0\0\0\x03",
  "asks for the password's MD5": "R\0\0\0\x0c\0\0\0\x05salt",
  "asks for nothing and is ready": "R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I",
  "takes SCRAM for done": "R\0\0\0\x0c\0\0\0\x0cv=no\0R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I",
};

async function startStranger(answer: string) {
  const heard: string[] = [];
  const server = createServer((socket: Socket) => {
    socket.on("error", () => {});
    socket.on("data", (said) => {
      heard.push(said.toString("latin1"));
      if (heard.length === 1) socket.write(answer, "latin1");
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => void server.close());
  const { port } = server.address() as AddressInfo;
  return { url: withScram(`postgres://bmaas:topsecret@127.0.0.1:${port}/bmaas`), heard };
}

describe.each(Object.entries(asks))("a stranger that %s", (_what, answer) => {
  test("hears the name of the user and nothing else, and passes for a database that is away", async () => {
    const { url, heard } = await startStranger(answer);
    const store = openHeartbeatStore(url, { maxBatches: 1 });
    const failure = await store.ping().catch((error: unknown) => error);
    expect(isDatabaseAway(failure)).toBe(true);
    expect(heard).toEqual([expect.stringContaining("user\0bmaas\0")]);
    await store.close();
  });
});

test("operators' connections are as careful", async () => {
  const { url, heard } = await startStranger(asks["asks for the password in clear"]);
  const { db, close } = connectDatabase(url);
  await expect(db.execute(sql`select 1`)).rejects.toThrow();
  expect(heard.join("")).not.toContain("topsecret");
  await close();
});
