/** Agents that use one join token at once, on two server processes, and an operator who revokes it meanwhile. */
import { randomUUID } from "node:crypto";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { expect, test } from "vitest";
import { JoinTokenService } from "../../../gen/bmaas/admin/v1/join_token_service_pb.js";
import { generateAgentKey } from "../../../src/agent/agent-key.ts";
import { enrolmentClient, reportOf } from "../../support/enrolments.ts";
import { observe } from "../../support/observer.ts";
import { adminClient, tokenOf } from "../../support/operator.ts";
import { type ServerProcess, startTwoServers } from "../../support/server-process.ts";

const { database, servers } = await startTwoServers();
const { secret } = await tokenOf(database.db, "operator");
const placeOf = (index: number) => servers[index % 2] as ServerProcess;
const tokensOn = (index: number) => adminClient(JoinTokenService, placeOf(index).adminUrl, secret);

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
