import { join } from "node:path";
import { pino } from "pino";
import { expect, it } from "vitest";
import { prepareInstance } from "../../../src/db/embedded/instance.ts";
import { findFreePort, startPostmaster } from "../../../src/db/embedded/postmaster.ts";
import { isRunning, makeTestFolder } from "../../support/embedded-owner.ts";

it("leaves nothing running when a start fails half way", async () => {
  const instance = await prepareInstance(join(await makeTestFolder(), "home"), false);
  let started = 0;
  const starting = startPostmaster(instance, {
    port: await findFreePort(),
    durable: false,
    log: pino({ level: "silent" }),
    signal: new AbortController().signal,
    onSpawn: (pid) => {
      started = pid;
      throw new Error("no more descriptors");
    },
  });
  await expect(starting).rejects.toThrow("no more descriptors");
  expect(started).toBeGreaterThan(0);
  expect(await isRunning(started)).toBe(false);
});
