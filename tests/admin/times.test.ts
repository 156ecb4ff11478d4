/**
 * Times that no calendar has, in calls and in the database: what a call cannot mean is refused, and what is stored is
 * shown.
 */
import { connect as connectHttp2 } from "node:http2";
import { create, toBinary } from "@bufbuild/protobuf";
import { type Timestamp, TimestampSchema, timestampFromDate } from "@bufbuild/protobuf/wkt";
import { getTableColumns, getTableName, is, sql } from "drizzle-orm";
import { PgTable, PgTimestamp } from "drizzle-orm/pg-core";
import { beforeAll, describe, expect, test } from "vitest";
import { AgentService } from "../../gen/bmaas/admin/v1/agent_service_pb.js";
import { FleetService } from "../../gen/bmaas/admin/v1/fleet_service_pb.js";
import { HardwareService } from "../../gen/bmaas/admin/v1/hardware_service_pb.js";
import { HistoryService } from "../../gen/bmaas/admin/v1/history_service_pb.js";
import { InstallationService } from "../../gen/bmaas/admin/v1/installation_service_pb.js";
import { MachineService } from "../../gen/bmaas/admin/v1/machine_service_pb.js";
import { Role } from "../../gen/bmaas/admin/v1/role_pb.js";
import { CreateTokenRequestSchema, TokenService } from "../../gen/bmaas/admin/v1/token_service_pb.js";
import * as schema from "../../src/db/schema/index.ts";
import { codeOf, signingAgent } from "../support/agents.ts";
import { errorOf } from "../support/call-error.ts";
import { createTestDatabase } from "../support/database.ts";
import { machineWithAgent, requestInstallation, type TestMachine } from "../support/machine.ts";
import { adminClient, tokenOf } from "../support/operator.ts";
import { callHttp2 } from "../support/raw-connection.ts";
import { startServerWithDatabase, startTestServer } from "../support/server.ts";
import { situations } from "../support/situation.ts";
import { startWatch } from "../support/watcher.ts";

const { database, server } = await startServerWithDatabase();
const { db } = database;
const admin = await tokenOf(db, "admin");
const tokens = adminClient(TokenService, server.adminUrl, admin.secret);
const machines = adminClient(MachineService, server.adminUrl, admin.secret);

const latest = { seconds: 253402300799n, nanos: 999_000_000 };

async function createTokenBy(contentType: string, body: Uint8Array | string) {
  const session = connectHttp2(server.adminUrl);
  const headers = { authorization: `Bearer ${admin.secret}`, "content-type": contentType };
  const answer = await callHttp2(session, { ":path": "/bmaas.admin.v1.TokenService/CreateToken", ...headers }, body);
  session.destroy();
  return answer;
}

describe("a token that is to end", () => {
  const request = (expireTime: Pick<Timestamp, "seconds" | "nanos">) => ({
    name: "ends",
    role: Role.VIEWER,
    expireTime: create(TimestampSchema, expireTime),
  });

  test("at the end of the last year ends in its last millisecond, and opens what it opens until then", async () => {
    const wanted = request({ seconds: 253402300799n, nanos: 999_999_999 });
    const { token, secret } = await tokens.createToken({ ...wanted, name: "last-moment" });
    expect(token?.expireTime).toMatchObject(latest);
    const { rows } = await db.execute(sql`select expires_at::text from admin_token where name = 'last-moment'`);
    expect(rows).toEqual([{ expires_at: expect.stringMatching(/^9999-12-31 23:59:59\.999/) }]);
    expect(await codeOf(adminClient(TokenService, server.adminUrl, secret).getCaller({}))).toBe("ok");
    const json = '{"name":"in-json","role":"ROLE_VIEWER","expireTime":"9999-12-31T23:59:59.999999999Z"}';
    expect((await createTokenBy("application/json", json)).status).toBe(200);
  });

  test("is never valid for longer than asked", async () => {
    const second = BigInt(Math.floor(Date.now() / 1000) + 3600);
    const { token } = await tokens.createToken({ ...request({ seconds: second, nanos: 1_999_999 }), name: "floor" });
    expect(token?.expireTime).toMatchObject({ seconds: second, nanos: 1_000_000 });
  });

  test.each(["2027-02-30T00:00:00Z", "2027-01-01T24:00:00Z", "2027-04-31T12:00:00+02:00"])(
    "at %s is refused, not stored as another day",
    async (expireTime) => {
      const { status, body } = await createTokenBy(
        "application/json",
        JSON.stringify({ name: "no-day", role: "ROLE_VIEWER", expireTime }),
      );
      expect([status, JSON.parse(body.toString())]).toMatchObject([
        400,
        { code: "invalid_argument", message: expect.stringContaining("expire_time: is not a time of the calendar") },
      ]);
    },
  );

  test.each([
    { seconds: 253402300800n, nanos: 0 },
    { seconds: 2n ** 62n, nanos: 0 },
    { seconds: 4_000_000_000n, nanos: -1 },
    { seconds: 4_000_000_000n, nanos: 1_000_000_000 },
  ])("in protobuf's binary form at $seconds s and $nanos ns is refused", async (expireTime) => {
    const error = await errorOf(tokens.createToken(request(expireTime)));
    expect([error.code, error.fields]).toEqual(["InvalidArgument", ["expire_time"]]);
    const bytes = toBinary(CreateTokenRequestSchema, create(CreateTokenRequestSchema, request(expireTime)));
    expect((await createTokenBy("application/proto", bytes)).status).toBe(400);
  });
});

test.each([
  { seconds: 1n, nanos: 1_000_000_000 },
  { seconds: 1n, nanos: -1 },
  { seconds: 315_576_000_001n, nanos: 0 },
])("a heartbeat's age of $seconds s and $nanos ns is refused, in streams too", async (age) => {
  const filter = { maxHeartbeatAge: age };
  expect((await errorOf(machines.listMachines({ filter }))).fields).toEqual(["filter.max_heartbeat_age"]);
  await using watch = await startWatch(machines, { filter });
  expect((await errorOf(watch.ended.then((error) => Promise.reject(error)))).fields).toEqual([
    "filter.max_heartbeat_age",
  ]);
});

test("a watch goes on from no time that PostgreSQL does not have", async () => {
  const resumeToken = Buffer.from("1.3.0.999999999999999").toString("base64url");
  await using watch = await startWatch(machines, { resumeToken });
  expect((await errorOf(watch.ended.then((error) => Promise.reject(error)))).fields).toEqual(["resume_token"]);
});

test("every time in the database is read within the years that can be shown", () => {
  const tables = Object.values(schema).filter((each) => is(each, PgTable));
  const columns = tables.flatMap((table) =>
    Object.values(getTableColumns(table)).map((column) => ({ table: getTableName(table), column })),
  );
  const times = columns.filter(({ column }) => column.getSQLType().startsWith("timestamp"));
  expect(times.length).toBeGreaterThan(20);
  expect(times.filter(({ column }) => is(column, PgTimestamp))).toEqual([]);
});

describe.each([
  ["infinity", "9999-12-31T23:59:59.999Z"],
  ["-infinity", "0001-01-01T00:00:00.000Z"],
  ["0044-03-15 12:00:00 BC", "0001-01-01T00:00:00.000Z"],
  ["12345-01-01 00:00:00", "9999-12-31T23:59:59.999Z"],
])("with %s for every time in the database", (time, shown) => {
  let own: Awaited<ReturnType<typeof createTestDatabase>>;
  let machine: TestMachine;
  let secret = "";

  beforeAll(async () => {
    own = await createTestDatabase();
    for (const situation of situations) await situation.make(own.db);
    machine = await machineWithAgent(own.db);
    await requestInstallation(own.db, machine.machineId);
    secret = (await tokenOf(own.db, "admin")).secret;
    await tokenOf(own.db, "viewer");
    const { rows } = await own.db.execute<{ statement: string }>(sql`
      select format('update %I set %I = %L', table_name, column_name, ${time}::text) as statement
        from information_schema.columns join information_schema.tables using (table_schema, table_name)
       where table_schema = 'public' and table_type = 'BASE TABLE' and data_type = 'timestamp with time zone'
         and not (table_name = 'admin_token' and column_name in ('expires_at', 'revoked_at'))
         and not (table_name = 'os_installation_request'
                  and column_name in ('finished_at', 'cancelled_at', 'superseded_at'))`);
    for (const { statement } of rows) await own.db.execute(sql.raw(statement));
    await own.db.execute(sql`update admin_token set expires_at = ${time}::timestamptz where role = 'viewer'`);
    return () => own.close();
  });

  test("everything is shown, the time as the nearest that there is, and agents are served", async () => {
    await using shows = await startTestServer(own.url);
    const client = <T extends Parameters<typeof adminClient>[0]>(service: T) =>
      adminClient(service, shows.adminUrl, secret);
    const machineId = machine.machineId;
    using agent = signingAgent(shows, machine, "connect-json");
    const { installationRequest } = await agent.heartbeat({ machineId, hardwareReport: {} });
    expect(installationRequest?.generation).toBe(1n);

    const listed = await client(TokenService).listTokens({ showEnded: true });
    const viewer = listed.tokens.find(({ role }) => role === Role.VIEWER);
    expect(viewer?.expireTime).toEqual(timestampFromDate(new Date(shown)));
    const all = client(MachineService);
    const { machines: found } = await all.listMachines({ pageSize: 1000 });
    expect(found.length).toBeGreaterThan(situations.length);
    expect(found[0]?.createTime).toEqual(timestampFromDate(new Date(shown)));
    for (const filter of [{ minHeartbeatAge: { seconds: 60n } }, { maxHeartbeatAge: { seconds: 60n } }]) {
      expect(await codeOf(all.listMachines({ filter }))).toBe("ok");
    }
    for (const { id } of found) expect(await codeOf(all.explainMachine({ machineId: id }))).toBe("ok");
    await using watch = await startWatch(all);
    expect(watch.token).toBeDefined();
    for (const call of [
      () => client(InstallationService).listInstallations({}),
      () => client(InstallationService).getInstallation({ machineId }),
      () => client(HistoryService).listEvents({ machineId }),
      () => client(HistoryService).listEvents({ kinds: ["machine_created"] }),
      () => client(HardwareService).listHardwareReports({ machineId }),
      () => client(FleetService).getFleet({}),
      () => client(AgentService).revokeAgent({ machineId }),
      () => all.deleteMachine({ machineId, force: true }),
      () => client(TokenService).revokeToken({ tokenId: viewer?.id ?? "" }),
    ]) {
      expect(await codeOf(call())).toBe("ok");
    }
    const metrics = await fetch(`${shows.adminUrl}/metrics`, { headers: { authorization: `Bearer ${secret}` } });
    expect(metrics.status).toBe(200);
    expect(shows.logged.filter(({ level }) => Number(level) >= 50)).toEqual([]);
  });
});
