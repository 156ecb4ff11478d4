/** Agents that use one join token at once, on two server processes, and an operator who revokes it meanwhile. */
import { randomUUID } from "node:crypto";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { eq } from "drizzle-orm";
import { describe, expect, test } from "vitest";
import { EnrolmentService } from "../../../gen/bmaas/admin/v1/enrolment_service_pb.js";
import { JoinTokenService } from "../../../gen/bmaas/admin/v1/join_token_service_pb.js";
import { MachineService } from "../../../gen/bmaas/admin/v1/machine_service_pb.js";
import { generateAgentKey } from "../../../src/agent/agent-key.ts";
import { holdApprovals } from "../../../src/db/queries/enrolment-decision.ts";
import { revokeJoinToken } from "../../../src/db/queries/join-token.ts";
import { joinToken } from "../../../src/db/schema/index.ts";
import { transact } from "../../../src/db/transact.ts";
import { errorOf } from "../../support/call-error.ts";
import { enrolmentClient, findEnrolment, knock, reportOf } from "../../support/enrolments.ts";
import { observe } from "../../support/observer.ts";
import { adminClient, tokenOf } from "../../support/operator.ts";
import { withClient } from "../../support/seed.ts";
import { type ServerProcess, startTwoServers } from "../../support/server-process.ts";
import { waitForBlockedSessions } from "../../support/wait.ts";

const { database, servers } = await startTwoServers();
const { secret } = await tokenOf(database.db, "admin");
const placeOf = (index: number) => servers[index % 2] as ServerProcess;
const tokensOn = (index: number) => adminClient(JoinTokenService, placeOf(index).adminUrl, secret);
const enrolmentsOn = (index: number) => adminClient(EnrolmentService, placeOf(index).adminUrl, secret);
const machinesOn = (index: number) => adminClient(MachineService, placeOf(index).adminUrl, secret);

async function newToken(maxUses: number) {
  const expireTime = timestampFromMs(Date.now() + 3_600_000);
  const { token, secret: joinToken } = await tokensOn(0).createJoinToken({ maxUses, expireTime });
  return { id: token?.id as string, joinToken };
}

/** Lets so many agents enrol at once, and returns what became of each. */
async function enrolAll(count: number, joinToken: string): Promise<string[]> {
  const keys = await Promise.all(Array.from({ length: count }, () => generateAgentKey()));
  return await Promise.all(
    keys.map((key, index) =>
      enrolmentClient(placeOf(index), key)
        .enrol({ hardwareReport: reportOf(randomUUID()), joinToken })
        .then(
          ({ outcome }) => String(outcome.case),
          (error) => String(error.rawMessage),
        ),
    ),
  );
}

async function readUses(id: string): Promise<number | undefined> {
  const [row] = await observe(database)<{ uses: number }[]>`select uses from join_token where id = ${id}`;
  return row?.uses;
}

const countOf = (outcomes: readonly string[], outcome: string) => outcomes.filter((each) => each === outcome).length;

test("of many agents that come at once, a token lets in as many as it says", async () => {
  for (const maxUses of [1, 3, 7]) {
    const { id, joinToken } = await newToken(maxUses);
    const outcomes = await enrolAll(12, joinToken);
    expect(countOf(outcomes, "accepted")).toBe(maxUses);
    expect(countOf(outcomes, "the join token is not valid")).toBe(12 - maxUses);
    expect(await readUses(id)).toBe(maxUses);
  }
});

test("one agent that uses its token on both servers at once counts once, and is one machine", async () => {
  for (let round = 0; round < 10; round++) {
    const { id, joinToken } = await newToken(1);
    const key = await generateAgentKey();
    const hardwareReport = reportOf(randomUUID());
    const answers = await Promise.all(
      [0, 1, 0, 1].map((place) => enrolmentClient(placeOf(place), key).enrol({ hardwareReport, joinToken })),
    );
    const machineIds = answers.map(({ outcome }) => (outcome.case === "accepted" ? outcome.value.machineId : ""));
    expect(new Set(machineIds).size).toBe(1);
    expect(machineIds[0]).not.toBe("");
    expect(await readUses(id)).toBe(1);
  }
});

test("of two agents that describe one machine, a token lets one in, and the other waits", async () => {
  for (let round = 0; round < 10; round++) {
    const { joinToken } = await newToken(2);
    const hardwareReport = reportOf(randomUUID());
    const keys = [await generateAgentKey(), await generateAgentKey()];
    const answers = await Promise.all(
      keys.map((key, place) => enrolmentClient(placeOf(place), key).enrol({ hardwareReport, joinToken })),
    );
    expect(answers.map(({ outcome }) => outcome.case).toSorted()).toEqual(["accepted", "pending"]);
  }
});

test("a token that is revoked while agents come lets nobody in afterwards", async () => {
  const outcomes: string[] = [];
  for (let round = 0; round < 6; round++) {
    const { id, joinToken } = await newToken(100);
    const [during] = await Promise.all([enrolAll(6, joinToken), tokensOn(round).revokeJoinToken({ tokenId: id })]);
    outcomes.push(...during);
    expect(await readUses(id)).toBe(countOf(during, "accepted"));
    expect(await enrolAll(2, joinToken)).toEqual(["the join token is not valid", "the join token is not valid"]);
  }
  expect(new Set(outcomes).size).toBeGreaterThan(0);
});

describe("an agent that has used its token, and waits because its machine resembles another", () => {
  /** Makes such an agent, and removes the other machine, so that only the token decides when it asks again. */
  async function waitingAgent(maxUses = 1) {
    const { id, joinToken } = await newToken(maxUses);
    const hardwareReport = reportOf(randomUUID());
    const wish = { hardwareReport, joinToken };
    const other = await knock(placeOf(0), database, { hardwareReport });
    const { machine } = await enrolmentsOn(0).approveEnrolment({ enrolmentId: other.enrolmentId });
    const { key, client } = await knock(placeOf(0), database, wish);
    await machinesOn(0).deleteMachine({ machineId: machine?.id as string });
    const ask = () =>
      client.enrol(wish).then(
        ({ outcome }) => String(outcome.case),
        (error) => String(error.rawMessage),
      );
    return { id, key, ask };
  }

  test("is let in when it asks again, though the token is used up", async () => {
    const { ask } = await waitingAgent();
    expect(await ask()).toBe("accepted");
  });

  test("is refused when the token is revoked after the call began", async () => {
    const { id, key, ask } = await waitingAgent();
    let asked: Promise<string> | undefined;
    await transact(database.db, async (tx) => {
      await revokeJoinToken(tx, { id, revokedBy: "test" });
      asked = ask();
      await withClient(database.url, (client) => waitForBlockedSessions(client, 1));
    });
    expect(await asked).toBe("the join token is not valid");
    expect(await findEnrolment(database, key)).toMatchObject({ state: "waiting" });
  });

  test("goes on waiting when the token expires after the call began", async () => {
    const { id, key, ask } = await waitingAgent();
    let asked: Promise<string> | undefined;
    await transact(database.db, async (tx) => {
      await holdApprovals(tx);
      asked = ask();
      await withClient(database.url, (client) => waitForBlockedSessions(client, 1));
      await database.db.update(joinToken).set({ expiresAt: new Date() }).where(eq(joinToken.id, id));
    });
    expect(await asked).toBe("pending");
    expect(await findEnrolment(database, key)).toMatchObject({ state: "waiting" });
  });
});

test("a token that expires while an agent's first call waits lets it in no more, and nothing is stored", async () => {
  const { id, joinToken: secretOfToken } = await newToken(5);
  const key = await generateAgentKey();
  let asked: Promise<unknown> | undefined;
  await transact(database.db, async (tx) => {
    await holdApprovals(tx);
    asked = errorOf(enrolmentClient(placeOf(1), key).enrol({ joinToken: secretOfToken }));
    await withClient(database.url, (client) => waitForBlockedSessions(client, 1));
    await database.db.update(joinToken).set({ expiresAt: new Date() }).where(eq(joinToken.id, id));
  });
  expect(await asked).toMatchObject({ code: "Unauthenticated" });
  expect(await findEnrolment(database, key)).toBeUndefined();
});
