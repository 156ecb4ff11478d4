/** What of an outage is logged: that it began and that it is over, each once, and not by whom it was heard last. */
import { expect, test } from "vitest";
import { type HeartbeatStore, logOutages } from "../../src/db/heartbeat-store.ts";
import { createCollectingLog, type LogLine } from "../support/server.ts";

/** A store whose pings end when and how the test says, and what was logged of them. */
function watchedStore() {
  const logged: LogLine[] = [];
  const unused = () => Promise.reject(new Error("not used here"));
  const pending: PromiseWithResolvers<void>[] = [];
  const store: HeartbeatStore = {
    write: unused,
    deliver: unused,
    readPublicKeys: unused,
    readMachineIds: unused,
    getPoolUsage: () => ({ open: 0, idle: 0, max: 0, waiting: 0 }),
    close: unused,
    ping: () => {
      const ping = Promise.withResolvers<void>();
      pending.push(ping);
      return ping.promise;
    },
  };
  const watched = logOutages(store, createCollectingLog(logged));
  return {
    /** Begins a call; the returned functions end it and wait until that was noticed. */
    begin() {
      const noticed = watched.ping().catch(() => {});
      const call = pending.at(-1) as PromiseWithResolvers<void>;
      return {
        succeed: async () => {
          call.resolve();
          await noticed;
        },
        fail: async (error = new Error("Connection terminated unexpectedly")) => {
          call.reject(error);
          await noticed;
        },
      };
    },
    said: () => logged.map(({ msg }) => String(msg).replace(/:.*/, "")),
    logged,
  };
}

const away = "the database is unreachable";
const back = "the database is reachable again";

test("an outage is logged once when it begins and once when it is over, with the calls that failed", async () => {
  const store = watchedStore();
  await store.begin().succeed();
  for (let call = 0; call < 3; call++) await store.begin().fail();
  expect(store.said()).toEqual([away]);
  await store.begin().succeed();
  await store.begin().succeed();
  expect(store.said()).toEqual([away, back]);
  expect(store.logged.at(-1)).toMatchObject({ failedCalls: 3 });
  await store.begin().fail();
  expect(store.said()).toEqual([away, back, away]);
});

test("a call that began in an outage and fails after it is over opens no other one", async () => {
  const store = watchedStore();
  await store.begin().fail();
  const frozen = store.begin();
  await store.begin().succeed();
  await frozen.fail();
  expect(store.said()).toEqual([away, back]);
});

test("a call that began before an outage and succeeds in it does not end it", async () => {
  const store = watchedStore();
  const early = store.begin();
  await store.begin().fail();
  await early.succeed();
  expect(store.said()).toEqual([away]);
});

test("a statement that PostgreSQL refuses is no outage", async () => {
  const store = watchedStore();
  await store.begin().fail(new Error("anything else"));
  expect(store.said()).toEqual([]);
});
