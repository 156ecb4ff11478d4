/** Join tokens: how they are made, what they let in, and that nothing is stored where one lets nobody in. */
import { createHash, randomUUID } from "node:crypto";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { sql } from "drizzle-orm";
import { describe, expect, test } from "vitest";
import { EnrolmentService } from "../../../gen/bmaas/admin/v1/enrolment_service_pb.js";
import { JoinTokenService } from "../../../gen/bmaas/admin/v1/join_token_service_pb.js";
import { MachineService } from "../../../gen/bmaas/admin/v1/machine_service_pb.js";
import { generateAgentKey } from "../../../src/agent/agent-key.ts";
import { errorOf } from "../../support/call-error.ts";
import {
  countEnrolments,
  enrolmentClient,
  enrolmentWays,
  findEnrolment,
  knock,
  reportOf,
} from "../../support/enrolments.ts";
import { readTags } from "../../support/machine.ts";
import { scrape } from "../../support/metrics.ts";
import { observe } from "../../support/observer.ts";
import { adminClient, tokenOf } from "../../support/operator.ts";
import { startServerWithDatabase } from "../../support/server.ts";

const { database, server } = await startServerWithDatabase();
const operator = await tokenOf(database.db, "operator");
const tokens = adminClient(JoinTokenService, server.adminUrl, operator.secret);
const enrolments = adminClient(EnrolmentService, server.adminUrl, operator.secret);
const machines = adminClient(MachineService, server.adminUrl, operator.secret);

const inOneHour = () => timestampFromMs(Date.now() + 3_600_000);
const newToken = (fields: object = {}) =>
  tokens.createJoinToken({ maxUses: 1, expireTime: inOneHour(), ...fields }).then(({ token, secret }) => ({
    id: token?.id as string,
    secret,
  }));
const newSerial = () => `SN-${randomUUID().slice(0, 8)}`;

async function readToken(id: string) {
  const [row] = await observe(database)<{ uses: number; secretHash: Buffer }[]>`
    select uses, secret_hash from join_token where id = ${id}`;
  return row;
}

describe("creating one", () => {
  test("shows the secret once, and stores only its hash", async () => {
    const request = {
      ...{ maxUses: 3, expireTime: inOneHour(), requiresApproval: true, provider: "lab", location: "basement" },
      ...{ labels: { rack: "r3" }, requestId: randomUUID() },
    };
    const { token, secret } = await tokens.createJoinToken(request);
    expect(secret).toMatch(/^bmaas_join_[0-9a-f]{16}_[\w-]{43}$/);
    expect(token).toMatchObject({
      ...{ maxUses: 3, uses: 0, requiresApproval: true, provider: "lab", location: "basement" },
      ...{ labels: { rack: "r3" }, creator: `token:${operator.name}`, revoker: "", expireTime: request.expireTime },
    });
    const id = token?.id as string;
    expect((await readToken(id))?.secretHash).toEqual(createHash("sha256").update(secret).digest());
    expect(await errorOf(tokens.createJoinToken(request))).toMatchObject({ code: "AlreadyExists" });
    expect(JSON.stringify(server.logged)).not.toContain(secret);
    const [stored] = await observe(database)<{ found: boolean }[]>`
      select bool_or(position(convert_to(${secret}, 'UTF8') in response) > 0) as found from admin_request`;
    expect(stored?.found).toBe(false);
  });

  test.each([
    [{ maxUses: 0 }, "max_uses"],
    [{ maxUses: 10_001 }, "max_uses"],
    [{ expireTime: undefined }, "expire_time"],
    [{ expireTime: timestampFromMs(Date.now() - 1000) }, "expire_time"],
    [{ expireTime: timestampFromMs(Date.now() + 367 * 86_400_000) }, "expire_time"],
    [{ location: "basement" }, "location"],
    [{ labels: { "no good": "x" } }, 'labels["no good"]'],
  ])("is bounded: case %#", async (fields, field) => {
    const refused = await errorOf(tokens.createJoinToken({ maxUses: 1, expireTime: inOneHour(), ...fields }));
    expect(refused).toMatchObject({ code: "InvalidArgument", fields: [field] });
  });
});

test("a list is newest first and page by page, and shows those that have ended where it is asked to", async () => {
  const ids = [];
  for (let count = 0; count < 3; count++) ids.unshift((await newToken()).id);
  await tokens.revokeJoinToken({ tokenId: ids[1] as string });
  const first = await tokens.listJoinTokens({ pageSize: 1 });
  const second = await tokens.listJoinTokens({ pageSize: 1, pageToken: first.nextPageToken });
  expect([...first.tokens, ...second.tokens].map(({ id }) => id)).toEqual([ids[0], ids[2]]);
  const all = await tokens.listJoinTokens({ showEnded: true });
  expect(all.tokens.slice(0, 3).map(({ id }) => id)).toEqual(ids);
  expect(all.tokens[1]).toMatchObject({ revoker: `token:${operator.name}` });
  expect((await tokens.revokeJoinToken({ tokenId: ids[1] as string })).token?.revokeTime).toEqual(
    all.tokens[1]?.revokeTime,
  );
  expect(await errorOf(tokens.revokeJoinToken({ tokenId: "0".repeat(16) }))).toMatchObject({ code: "NotFound" });
});

describe("an agent with a token", () => {
  test.each(Object.keys(enrolmentWays))("is let in at once, with what the token carries: %s", async (way) => {
    const { id, secret } = await newToken({ provider: "lab", location: "basement", labels: { rack: "r3" } });
    const serialNumber = newSerial();
    const key = await generateAgentKey();
    const client = enrolmentClient(server, key, way);
    const wish = { hardwareReport: reportOf(serialNumber), joinToken: secret };
    const { outcome, askAgainAfter } = await client.enrol(wish);
    expect(outcome.case).toBe("accepted");
    expect(askAgainAfter).toBeUndefined();
    const machineId = outcome.case === "accepted" ? outcome.value.machineId : "";
    const { machine } = await machines.getMachine({ machineId });
    expect(machine).toMatchObject({
      agent: { publicKey: key.publicKey },
      provided: { provider: "lab", providerId: serialNumber, location: "basement" },
      labels: { rack: "r3" },
    });
    const { history } = await readTags(database, machineId);
    expect(new Set(history.map(({ actor }) => actor))).toEqual(new Set([`join-token:${id}`]));
    expect(history.map(({ kind }) => kind)).toEqual(
      expect.arrayContaining(["machine_created", "machine_enrolled", "agent_registered", "machine_labelled"]),
    );
    expect((await client.enrol(wish)).outcome).toEqual(outcome);
    expect((await readToken(id))?.uses).toBe(1);
  });

  test("whose serial number is another's id at the provider is known there by its machine id", async () => {
    const { secret } = await newToken({ maxUses: 5, provider: "lab" });
    const serialNumber = newSerial();
    await machines.createMachine({ provided: { provider: "lab", providerId: serialNumber } });
    for (const hardwareReport of [reportOf(serialNumber), reportOf("Default string")]) {
      const { outcome } = await enrolmentClient(server, await generateAgentKey()).enrol({
        hardwareReport,
        joinToken: secret,
      });
      const machineId = outcome.case === "accepted" ? outcome.value.machineId : "";
      const { machine } = await machines.getMachine({ machineId });
      expect(machine?.provided).toMatchObject({ provider: "lab", providerId: machineId });
    }
  });

  test("that requires approval waits, counts once, and gets what the token carries and the approval does not say", async () => {
    const { id, secret } = await newToken({
      ...{
        maxUses: 2,
        requiresApproval: true,
        provider: "lab",
        location: "basement",
        labels: { rack: "r3", row: "1" },
      },
    });
    const hardwareReport = reportOf(newSerial());
    const { client, enrolmentId } = await knock(server, database, { hardwareReport, joinToken: secret });
    expect((await client.enrol({ hardwareReport, joinToken: secret })).outcome.case).toBe("pending");
    expect((await readToken(id))?.uses).toBe(1);
    const { enrolment, machine } = await enrolments.approveEnrolment({ enrolmentId, labels: { rack: "r9" } });
    expect(enrolment).toMatchObject({ joinTokenId: id, decider: `token:${operator.name}` });
    expect(machine).toMatchObject({
      labels: { rack: "r9", row: "1" },
      provided: { provider: "lab", location: "basement" },
    });
  });

  test("waits for an operator where its machine resembles a known one, and counts", async () => {
    const { id, secret } = await newToken({ maxUses: 3 });
    const wish = { hardwareReport: reportOf(newSerial()), joinToken: secret };
    const first = await enrolmentClient(server, await generateAgentKey()).enrol(wish);
    expect(first.outcome.case).toBe("accepted");
    const { client, key, enrolmentId } = await knock(server, database, wish);
    expect((await client.enrol(wish)).outcome.case).toBe("pending");
    expect(await findEnrolment(database, key)).toMatchObject({ state: "waiting", joinTokenId: id });
    expect((await readToken(id))?.uses).toBe(2);
    await enrolments.approveEnrolment({ enrolmentId, allowDuplicate: true });
    expect((await client.enrol(wish)).outcome.case).toBe("accepted");
  });

  test("that waits already is let in by the token", async () => {
    const { secret } = await newToken();
    const hardwareReport = reportOf(newSerial());
    const { client } = await knock(server, database, { hardwareReport });
    expect((await client.enrol({ hardwareReport, joinToken: secret })).outcome.case).toBe("accepted");
  });

  test("that was rejected stays rejected, and uses nothing", async () => {
    const { id, secret } = await newToken();
    const { client, enrolmentId } = await knock(server, database);
    await enrolments.rejectEnrolment({ enrolmentId });
    expect((await client.enrol({ joinToken: secret })).outcome.case).toBe("refused");
    expect((await readToken(id))?.uses).toBe(0);
  });
});

describe("a token that lets nobody in", () => {
  const spoil: [string, () => Promise<string>][] = [
    ["token_wrong", async () => "hunter2"],
    ["token_wrong", async () => `bmaas_join_${"0".repeat(16)}_${"A".repeat(43)}`],
    ["token_wrong", async () => (await newToken()).secret.replace(/.{5}$/, "AAAAA")],
    [
      "token_used_up",
      async () => {
        const { secret } = await newToken();
        await enrolmentClient(server, await generateAgentKey()).enrol({ joinToken: secret });
        return secret;
      },
    ],
    [
      "token_expired",
      async () => {
        const { id, secret } = await newToken();
        await database.db.execute(sql`update join_token set expires_at = now() where id = ${id}`);
        return secret;
      },
    ],
    [
      "token_revoked",
      async () => {
        const { id, secret } = await newToken();
        await tokens.revokeJoinToken({ tokenId: id });
        return secret;
      },
    ],
  ];

  async function countRefusals(): Promise<Record<string, number>> {
    const { samples } = await scrape(server.adminUrl, operator.secret);
    const own = samples.filter(
      ({ name, labels }) => name === "bmaas_enrolments_total" && /^token_/.test(`${labels.outcome}`),
    );
    return Object.fromEntries(own.map(({ labels, value }) => [labels.outcome, value]));
  }

  test.each(spoil)(
    "is unauthenticated with one answer for all, counted as %s, and nothing is stored",
    async (reason, make) => {
      const joinToken = await make();
      const known = await knock(server, database, { bootId: "before" });
      const stored = await findEnrolment(database, known.key);
      const [before, counted] = [await countEnrolments(database), await countRefusals()];
      const clients = [known.client, enrolmentClient(server, await generateAgentKey(), "Connect JSON, signed")];
      for (const client of clients) {
        await expect(client.enrol({ hardwareReport: reportOf(newSerial()), joinToken })).rejects.toMatchObject({
          code: 16,
          rawMessage: "the join token is not valid",
        });
      }
      expect(await countRefusals()).toEqual({ ...counted, [reason]: (counted[reason] ?? 0) + 2 });
      expect(await countEnrolments(database)).toBe(before);
      expect(await findEnrolment(database, known.key)).toEqual(stored);
      expect(JSON.stringify(server.logged)).not.toContain(joinToken);
    },
  );

  test("ends the wait of an agent that used it before only where it was revoked", async () => {
    const { id, secret: joinToken } = await newToken({ requiresApproval: true });
    const { client } = await knock(server, database, { joinToken });
    await database.db.execute(sql`update join_token set expires_at = now() where id = ${id}`);
    expect((await client.enrol({ joinToken })).outcome.case).toBe("pending");
    await tokens.revokeJoinToken({ tokenId: id });
    expect(await errorOf(client.enrol({ joinToken }))).toMatchObject({ code: "Unauthenticated" });
    expect((await client.enrol({})).outcome.case).toBe("pending");
  });

  test("does not lock out the agent of a machine", async () => {
    const { id, secret: joinToken } = await newToken();
    const client = enrolmentClient(server, await generateAgentKey());
    const { outcome } = await client.enrol({ joinToken });
    await tokens.revokeJoinToken({ tokenId: id });
    expect((await client.enrol({ joinToken })).outcome).toEqual(outcome);
  });
});
