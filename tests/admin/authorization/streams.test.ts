/** What happens to a stream whose caller loses the token or the role while it is open. */
import { setTimeout as delay } from "node:timers/promises";
import { Code } from "@connectrpc/connect";
import { eq } from "drizzle-orm";
import { pino } from "pino";
import { afterAll, expect, test } from "vitest";
import { MachineService } from "../../../gen/bmaas/admin/v1/machine_service_pb.js";
import { createAuthorization } from "../../../src/admin/authorization/authorize.ts";
import { createStreamAuthorization } from "../../../src/admin/authorization/authorize-streams.ts";
import { createCredentialsCheck } from "../../../src/admin/authorization/check-credentials.ts";
import { createTokenIdentify } from "../../../src/admin/authorization/identify-token.ts";
import { createChangeFeed } from "../../../src/admin/watch/change-feed.ts";
import { createWatchMachines } from "../../../src/admin/watch/watch-machines.ts";
import { revokeAdminTokenByName } from "../../../src/db/queries/admin-token.ts";
import { adminToken } from "../../../src/db/schema/index.ts";
import { transact } from "../../../src/db/transact.ts";
import { createAdminListener } from "../../../src/rpc/admin-listener.ts";
import { createErrorInterceptor, createErrorMapper } from "../../../src/rpc/calls/error-mapping.ts";
import { findKnownError } from "../../../src/service/error-table.ts";
import { createTestDatabase } from "../../support/database.ts";
import { bareMachine } from "../../support/machine.ts";
import { adminClient, type TestToken, tokenOf } from "../../support/operator.ts";
import { waitUntil } from "../../support/wait.ts";
import { startWatch } from "../../support/watcher.ts";

const log = pino({ level: "silent" });
const database = await createTestDatabase();
const { db } = database;
const feed = createChangeFeed({ db, log });
const mapError = createErrorMapper(findKnownError, log);

/** Whether the database can be asked for tokens. */
let isAway = false;
let asked = 0;
const identify = createTokenIdentify(db);
const authorize = createAuthorization(
  createCredentialsCheck(async (token) => {
    asked += 1;
    if (isAway) throw new Error("the database is away");
    return await identify(token);
  }),
);
const listener = createAdminListener({
  tls: undefined,
  findUnreadiness: async () => undefined,
  serverKey: undefined,
  routes: (router) => void router.service(MachineService, { watchMachines: createWatchMachines({ feed }) }),
  gate: authorize,
  isBehindProxy: false,
  onUnserved: () => {},
  interceptors: [createErrorInterceptor(mapError), createStreamAuthorization(40)],
  log,
});
const url = await listener.listen({ host: "127.0.0.1", port: 0 });
afterAll(async () => {
  feed.close();
  await listener.close();
  await database.close();
});

const watchAs = ({ secret }: TestToken) => startWatch(adminClient(MachineService, url, secret));
const rowOf = ({ name }: TestToken) => eq(adminToken.name, name);

test.each([
  [
    "is revoked",
    (token: TestToken) => transact(db, (tx) => revokeAdminTokenByName(tx, token.name, "test")),
    Code.Unauthenticated,
    "the token is revoked",
  ],
  [
    "expires",
    (token: TestToken) =>
      db
        .update(adminToken)
        .set({ expiresAt: new Date(0) })
        .where(rowOf(token)),
    Code.Unauthenticated,
    "the token has expired",
  ],
])("a stream ends when its token %s, and its place is free again", async (_how, end, code, message) => {
  const [token, other] = [await tokenOf(db, "viewer"), await tokenOf(db, "viewer")];
  await using watch = await watchAs(token);
  await using unconcerned = await watchAs(other);
  await end(token);
  const error = await watch.ended;
  expect([error?.code, error?.rawMessage]).toEqual([code, message]);
  await waitUntil("the server forgets the watcher", () => feed.watchers === 1);
  const machineId = await bareMachine(db);
  await unconcerned.waitFor(machineId, "machine_created");
});

test("a stream goes on, and misses nothing, while nobody can tell whose token it is", async () => {
  const token = await tokenOf(db, "viewer");
  await using watch = await watchAs(token);
  isAway = true;
  const before = asked;
  await waitUntil("the token is looked up in vain", () => asked >= before + 3);
  const machineId = await bareMachine(db);
  await watch.waitFor(machineId, "machine_created");
  isAway = false;
  await transact(db, (tx) => revokeAdminTokenByName(tx, token.name, "test"));
  expect((await watch.ended)?.code).toBe(Code.Unauthenticated);
});

test("nobody asks about a stream that has ended", async () => {
  const watch = await watchAs(await tokenOf(db, "viewer"));
  await watch[Symbol.asyncDispose]();
  await waitUntil("the server forgets the watcher", () => feed.watchers === 0);
  await delay(100);
  const before = asked;
  await delay(200);
  expect(asked).toBe(before);
});
