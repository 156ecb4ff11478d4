/** However many agents wait with the identifiers of a machine, its double is found out. */
import { randomUUID } from "node:crypto";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { expect, test } from "vitest";
import { EnrolmentService } from "../../../gen/bmaas/admin/v1/enrolment_service_pb.js";
import { JoinTokenService } from "../../../gen/bmaas/admin/v1/join_token_service_pb.js";
import { errorOf } from "../../support/call-error.ts";
import { type EnrolInit, knock, reportOf } from "../../support/enrolments.ts";
import { adminClient, tokenOf } from "../../support/operator.ts";
import { startServerWithDatabase } from "../../support/server.ts";

const { database, server } = await startServerWithDatabase();
const { secret } = await tokenOf(database.db, "admin");
const enrolments = adminClient(EnrolmentService, server.adminUrl, secret);
const joinTokens = adminClient(JoinTokenService, server.adminUrl, secret);

/** More agents that wait than an enrolment shows, and then a machine, which all have one serial number. */
async function machineInCrowd() {
  const hardwareReport = reportOf(`SN-${randomUUID()}`);
  const knockOnce = (init: EnrolInit = {}) => knock(server, database, { ...init, hardwareReport });
  for (let count = 0; count < 12; count++) await knockOnce();
  const { enrolmentId } = await knockOnce();
  const { machine } = await enrolments.approveEnrolment({ enrolmentId });
  return { machineId: machine?.id ?? "", knockOnce };
}

test("an operator sees the machine, and does not approve its double unasked", async () => {
  const { machineId, knockOnce } = await machineInCrowd();
  const { enrolmentId } = await knockOnce();
  const { enrolment } = await enrolments.getEnrolment({ enrolmentId });
  expect(enrolment?.lookalikes.map((each) => each.machineId)).toContain(machineId);
  const refused = await errorOf(enrolments.approveEnrolment({ enrolmentId }));
  expect(refused.preconditions).toEqual([`ENROLMENT_DUPLICATE enrolments/${enrolmentId}`]);
  expect(refused.message).toContain(`its serial number is that of machine ${machineId}`);
});

test("a join token does not let its double in", async () => {
  const { knockOnce } = await machineInCrowd();
  const expireTime = timestampFromMs(Date.now() + 3_600_000);
  const { secret: joinToken } = await joinTokens.createJoinToken({ maxUses: 5, expireTime });
  const { enrolmentId } = await knockOnce({ joinToken });
  expect((await enrolments.getEnrolment({ enrolmentId })).enrolment?.machineId).toBe("");
});
