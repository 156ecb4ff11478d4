/** Durations and ends that cannot be: the refusal names the field that the caller gave, and what it can be. */
import { randomUUID } from "node:crypto";
import { expect, test } from "vitest";
import { EnrolmentService } from "../../gen/bmaas/admin/v1/enrolment_service_pb.js";
import { HealthService } from "../../gen/bmaas/admin/v1/health_service_pb.js";
import { JoinTokenService } from "../../gen/bmaas/admin/v1/join_token_service_pb.js";
import { MachineService } from "../../gen/bmaas/admin/v1/machine_service_pb.js";
import { Role } from "../../gen/bmaas/admin/v1/role_pb.js";
import { TokenService } from "../../gen/bmaas/admin/v1/token_service_pb.js";
import { errorOf } from "../support/call-error.ts";
import { bareMachine } from "../support/machine.ts";
import { adminClient, tokenOf } from "../support/operator.ts";
import { startServerWithDatabase } from "../support/server.ts";

const { database, server } = await startServerWithDatabase();
const { secret } = await tokenOf(database.db, "admin");
const machines = adminClient(MachineService, server.adminUrl, secret);
const health = adminClient(HealthService, server.adminUrl, secret);
const enrolments = adminClient(EnrolmentService, server.adminUrl, secret);
const tokens = adminClient(TokenService, server.adminUrl, secret);
const joinTokens = adminClient(JoinTokenService, server.adminUrl, secret);
const machineId = await bareMachine(database.db);

/** Seconds and nanoseconds, of a duration or of a time since the epoch. */
interface Amount {
  readonly seconds: bigint;
  readonly nanos: number;
}
const seconds = (count: number): Amount => ({ seconds: BigInt(count), nanos: 0 });
const nanos = (count: number): Amount => ({ seconds: 0n, nanos: count });
const fromNow = (count: number) => seconds(Math.floor(Date.now() / 1000) + count);

const day = 86_400;
const century = 36_525 * day;
const negative = [seconds(-1), nanos(-1)];
const tooLong = [seconds(century + 1), { ...seconds(century), nanos: 1 }, seconds(315_576_000_001)];
const past = [seconds(-62_135_596_801), seconds(0), fromNow(-5)];
const noTimeLater = seconds(253_402_300_800);

/** A field that takes an amount. */
interface Field {
  readonly call: (amount: Amount) => Promise<unknown>;
  readonly refused: readonly Amount[];
  readonly accepted: readonly Amount[];
  /** What a refusal says of the field. */
  readonly says: RegExp;
}

const hold = (end: "duration" | "endTime", value: Amount) => ({
  machineId,
  reason: "bench",
  end: { case: end, value },
});
const age = { refused: [...negative, ...tooLong], accepted: [nanos(0), nanos(1), seconds(century)] };
const lasting = { refused: [nanos(0), nanos(1), nanos(499_999), nanos(999_999), ...age.refused] };
const ending = { refused: [...past, noTimeLater], accepted: [fromNow(day)] };

const fields: Readonly<Record<string, Field>> = {
  duration: {
    call: (duration) => machines.setHold(hold("duration", duration)),
    ...lasting,
    accepted: [nanos(1_000_000), seconds(century)],
    says: /or equal to 0\.001s and less than or equal to 3155760000s|is not a duration/,
  },
  "requests[0].duration": {
    call: (duration) => machines.batchSetHolds({ requests: [hold("duration", duration)] }),
    ...lasting,
    accepted: [nanos(1_000_000), seconds(century)],
    says: /or equal to 0\.001s and less than or equal to 3155760000s|is not a duration/,
  },
  end_time: {
    call: (endTime) => machines.setHold(hold("endTime", endTime)),
    ...ending,
    says: /is in the past: give a later time|is no time/,
  },
  "requests[0].end_time": {
    call: (endTime) => machines.batchSetHolds({ requests: [hold("endTime", endTime)] }),
    ...ending,
    says: /is in the past: give a later time|is no time/,
  },
  ttl: {
    call: (ttl) => health.putHealth({ machineId, source: "burn-in", ttl, alerts: [] }),
    refused: [...lasting.refused, nanos(999_999_999), { ...seconds(30 * day), nanos: 1 }],
    accepted: [seconds(1), seconds(30 * day)],
    says: /or equal to 1s and less than or equal to 2592000s|is not a duration/,
  },
  expire_time: {
    call: (expireTime) => tokens.createToken({ name: randomUUID(), role: Role.VIEWER, expireTime }),
    ...ending,
    says: /must be in the future|is no time/,
  },
  "expire_time of a join token": {
    call: (expireTime) => joinTokens.createJoinToken({ maxUses: 1, expireTime }),
    refused: [...ending.refused, fromNow(367 * day)],
    accepted: ending.accepted,
    says: /must be in the future|must be within 366 days from now|is no time/,
  },
  ...Object.fromEntries(
    (["minHeartbeatAge", "maxHeartbeatAge", "minStateAge", "maxStateAge"] as const).map((name) => [
      `filter.${name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)}`,
      {
        call: (amount: Amount) => machines.listMachines({ filter: { [name]: amount } }),
        ...age,
        says: /or equal to 0s and less than or equal to 3155760000s|is not a duration/,
      },
    ]),
  ),
  "filter.min_age": {
    call: (minAge) => enrolments.listEnrolments({ filter: { minAge } }),
    ...age,
    says: /or equal to 0s and less than or equal to 3155760000s|is not a duration/,
  },
};

test.each(Object.entries(fields))("%s", async (name, { call, refused, accepted, says }) => {
  const [field] = name.split(" ");
  for (const amount of refused) {
    const { code, fields: named, message } = await errorOf(call(amount));
    expect({ amount, code, named, message }).toEqual({
      ...{ amount, code: "InvalidArgument", named: [field], message: expect.stringMatching(says) },
    });
  }
  for (const amount of accepted) expect({ amount, ...(await errorOf(call(amount))) }).toMatchObject({ code: "ok" });
});
