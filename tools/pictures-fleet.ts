/** The invented fleet of the console's pictures: the one of benchmarks, with what makes it look like somebody's. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import pg from "pg";
import { pino } from "pino";
import { createLargeFleet } from "../bench/measure/large-fleet.ts";
import { HealthEffect, HealthService } from "../gen/bmaas/admin/v1/health_service_pb.js";
import { JoinTokenService } from "../gen/bmaas/admin/v1/join_token_service_pb.js";
import { HealthSeverity } from "../gen/bmaas/admin/v1/machine_pb.js";
import { MachineService } from "../gen/bmaas/admin/v1/machine_service_pb.js";
import { ReceiverService } from "../gen/bmaas/admin/v1/receiver_service_pb.js";
import { Role } from "../gen/bmaas/admin/v1/role_pb.js";
import { TokenService } from "../gen/bmaas/admin/v1/token_service_pb.js";
import { generateAgentKey } from "../src/agent/agent-key.ts";
import type { Operator } from "../src/cli/operator/admin-client.ts";
import { migrateDatabase } from "../src/db/migrate.ts";
import { enrolmentClient, reportOf } from "../tests/support/enrolments.ts";

const machines = 2_000;
const simulatedMachines = 60;

/** Machines that pictures show by name. */
export interface PicturedMachines {
  /** One whose installation is overdue. */
  readonly overdue: string;
  /** The serial number of its system. */
  readonly serialNumber: string;
}

/** Gives the fleet of benchmarks names that sound like some, and things that are wrong with it. */
const decorate = `
  update provided set provider = (array['equinix', 'hetzner', 'ovh', 'leaseweb'])[1 + (hashtext(provider) & 3)],
                      location = (array['am6', 'fra2', 'hel1', 'gra3', 'dc5'])[1 + abs(hashtext(location)) % 5];
  update hardware_report set
    (manufacturer, product) = (select manufacturer, product from (values
        (0, 'Dell', 'PowerEdge R650'), (1, 'HPE', 'ProLiant DL360'), (2, 'Supermicro', 'SYS-120U')) as make (n, manufacturer, product)
       where n = abs(hashtext(machine_id::text)) % 3),
    serial_number = upper(substr(md5(machine_id::text), 1, 7));
  update machine_identifier as identifier set value = lower(report.serial_number), shown = report.serial_number
    from hardware_report as report where report.machine_id = identifier.machine_id and kind = 'serial_number';
  delete from machine_hold where abs(hashtext(machine_id::text)) % 12 <> 0;
  update machine_hold set
    reason = (array['fan swap', 'RAM is being tested', 'moves to rack r14', 'waits for the vendor'])[1 + abs(hashtext(machine_id::text)) / 12 % 4],
    ticket = 'OPS-' || abs(hashtext(machine_id::text)) % 900 + 100,
    held_by = (array['token:alice', 'oidc:bob@example.com'])[1 + abs(hashtext(machine_id::text)) / 12 % 2],
    held_at = now() - abs(hashtext(machine_id::text)) % 5000 * interval '1 minute',
    until = now() + abs(hashtext(machine_id::text)) % 9000 * interval '1 minute';
  create temporary table failed as
    select machine_id, generation,
           (array['no such disk', 'the image''s digest is sha256:17c0…, not sha256:ab51…', 'HTTP 404 from images.example',
                  'nvme0n1: write error at 41 GiB'])[1 + abs(hashtext(machine_id::text)) % 4] as error,
           now() - abs(hashtext(machine_id::text)) % 110 * interval '1 minute' as at
      from os_installation_report where result = 'error';
  update os_installation_request as request set error = failed.error, finished_at = at, due_at = at + interval '10 minutes',
         requested_at = at - interval '12 minutes', first_given_at = at - interval '11 minutes', last_given_at = at - interval '11 minutes'
    from failed where (request.machine_id, request.generation) = (failed.machine_id, failed.generation);
  update os_installation_report as report set error = failed.error, reported_at = at
    from failed where report.machine_id = failed.machine_id;
  update os_installation_request set due_at = now() - age, first_given_at = now() - age - interval '20 minutes',
         last_given_at = now() - age - interval '20 minutes'
    from (select machine_id as id, abs(hashtext(machine_id::text)) % 3000 * interval '1 second' as age from machine_state
           where state = 'installation_overdue') as overdue
   where machine_id = id and finished_at is null;
  insert into machine_finding (machine_id, type, target, since, until, detail)
  select machine_id, type, target, now() - n * interval '37 minutes', null, detail
    from (select machine_id, row_number() over (order by machine_id) as n from hardware_report limit 9) as reported
    join (values (1, 'disk_failing', 'disk S4EVNX0R', 'Samsung PM9A3, 3.84 TB: critical warning 0x04'),
                 (2, 'disk_worn', 'disk BTAC1213', 'Intel D7-P5510, 1.92 TB: 97 % used'),
                 (3, 'media_errors_growing', 'disk ZC1A2B3C', '112 media errors, 80 an hour before'),
                 (4, 'link_down', 'interface b0:4f:13:0a:1c:2e', 'eth1, was up'),
                 (5, 'memory_reduced', '', '512 GiB, was 576 GiB')) as finding (at, type, target, detail) on at = n;
  insert into refused_key (machine_id, public_key, address, since, seen_at, until)
  select machine_id, sha256('another'), '192.0.2.77', now() - interval '3 hours', now() - interval '1 minute', now() + interval '1 hour'
    from agent_heartbeat order by machine_id offset 40 limit 1;
`;

/** Fills an empty database. */
export async function fillPicturedFleet(url: string): Promise<PicturedMachines> {
  await migrateDatabase(url, pino({ level: "silent" }));
  await createLargeFleet(url, machines);
  return await query(url, async (client) => {
    await client.query(decorate);
    const { rows } = await client.query<PicturedMachines>(
      `select machine_id as overdue, serial_number as "serialNumber" from machine_state join hardware_report using (machine_id)
        where state = 'installation_overdue' order by machine_id limit 1`,
    );
    if (rows[0] === undefined) throw new Error("no installation of the fleet is overdue");
    return rows[0];
  });
}

/** Creates what the pages list besides machines. */
export async function furnish(operator: Operator, server: { readonly agentUrl: string; readonly ca: string }) {
  for (const [name, role] of [
    ["alice", Role.ADMIN],
    ["ci", Role.OPERATOR],
    ["wall", Role.VIEWER],
  ] as const) {
    await operator.client(TokenService).createToken({ name, role });
  }
  const expireTime = { seconds: BigInt(Math.floor(Date.now() / 1_000) + 86_400), nanos: 0 };
  const joinToken = { maxUses: 40, expireTime, provider: "equinix", location: "am6", labels: { rack: "r12" } };
  await operator.client(JoinTokenService).createJoinToken(joinToken);
  await operator.client(JoinTokenService).createJoinToken({ maxUses: 1, expireTime, requiresApproval: true });
  const receiver = { name: "oncall", url: "https://hooks.example.com/bmaas", events: ["installation.*", "issue.*"] };
  await operator.client(ReceiverService).createReceiver(receiver);
  await putHealth(operator);
  await knock(operator, server);
}

async function putHealth(operator: Operator): Promise<void> {
  const { machines: some } = await operator.client(MachineService).listMachines({ pageSize: 60 });
  const alerts = [
    { id: "memtest", target: "dimm3", severity: HealthSeverity.CRITICAL, message: "4 errors in 10 passes" },
    { id: "psu", target: "psu 2", severity: HealthSeverity.WARNING, message: "no input power" },
  ];
  for (const [index, alert] of alerts.entries()) {
    const machineId = some[20 + 7 * index]?.id ?? "";
    const effects = alert.severity === HealthSeverity.CRITICAL ? [HealthEffect.BLOCK_INSTALL] : [];
    const put = { machineId, source: "burn-in", alerts: [{ ...alert, effects }], ttl: { seconds: 86_400n, nanos: 0 } };
    await operator.client(HealthService).putHealth(put);
  }
}

/** Has agents ask to be let in: one that is expected, one that resembles a machine, and others. */
async function knock(operator: Operator, server: { readonly agentUrl: string; readonly ca: string }): Promise<void> {
  const { machines: some } = await operator.client(MachineService).listMachines({ pageSize: 10 });
  const known = some.find(({ hardware }) => hardware !== undefined)?.hardware?.serialNumber ?? "";
  const expected = { serialNumber: "GK47PX2" };
  await operator.client(MachineService).createMachine({ expected, labels: { rack: "r12" } });
  for (const [manufacturer, product, serialNumber] of [
    ["Dell", "PowerEdge R650", expected.serialNumber],
    ["HPE", "ProLiant DL360", known],
    ["Supermicro", "SYS-120U", "S411795X"],
    ["Supermicro", "SYS-120U", "S411802X"],
    ["Dell", "PowerEdge R650", "HX81KL3"],
  ] as const) {
    const hardwareReport = reportOf(serialNumber, { manufacturer, product });
    await enrolmentClient(server, await generateAgentKey()).enrol({ hardwareReport, agentVersion: "bmaas 0.1.0" });
  }
}

/** Agents that call and install until the pictures are taken, so that something happens. */
export async function simulate(folder: string, adminUrl: string, agentUrl: string, databaseUrl: string) {
  const args = [
    ...["simulate", "--machines", String(simulatedMachines), "--endpoint", agentUrl, "--interval", "3s"],
    ...["--duration", "20m", "--installations", "100", "--install-duration", "40s"],
  ];
  const program = fileURLToPath(new URL("../src/main.ts", import.meta.url));
  const env = { PATH: process.env.PATH, BMAAS_HOME: folder, BMAAS_ADMIN_URL: adminUrl };
  const child = spawn(process.execPath, [program, ...args], { stdio: "ignore", env });
  const place = "update provided set provider = 'hetzner', location = 'hel1' where provider = 'simulation'";
  return {
    /** Puts the simulated machines where others are. */
    settle: () => query(databaseUrl, (client) => client.query(place)),
    [Symbol.asyncDispose]: async () => {
      if (child.exitCode !== null) return;
      const ended = once(child, "exit");
      child.kill("SIGTERM");
      await ended;
    },
  };
}

async function query<Answer>(url: string, act: (client: pg.Client) => Promise<Answer>): Promise<Answer> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return await act(client);
  } finally {
    await client.end();
  }
}
