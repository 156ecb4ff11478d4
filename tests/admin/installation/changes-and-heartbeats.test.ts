/** Operators' changes of installations keep no agent waiting, however long their answers take to read. */
import { expect, test } from "vitest";
import { InstallationService } from "../../../gen/bmaas/admin/v1/installation_service_pb.js";
import { machineOn } from "../../support/fleet.ts";
import { type MovableState, moveInstallation } from "../../support/installation.ts";
import { requestInstallation, testImage } from "../../support/machine.ts";
import { adminClient, tokenOf } from "../../support/operator.ts";
import { withClient } from "../../support/seed.ts";
import { startServerWithDatabase } from "../../support/server.ts";
import { waitForBlockedSessions } from "../../support/wait.ts";

const { database, server } = await startServerWithDatabase();
const { secret } = await tokenOf(database.db, "operator");
const operator = adminClient(InstallationService, server.adminUrl, secret);
const target = { type: { case: "image", value: testImage } } as const;

interface Change {
  /** State of the installation before, if an agent was given it. */
  readonly before?: MovableState;
  readonly call: (machineId: string) => Promise<{ installations: { generation: bigint }[] }>;
  /** Generation that the change answers with. */
  readonly answered: bigint;
  /** Generation that the agent is given afterwards. */
  readonly given: bigint | undefined;
}

const changes: Readonly<Record<string, Change>> = {
  BatchCancelInstallations: {
    call: (machineId) => operator.batchCancelInstallations({ requests: [{ machineId }] }),
    answered: 1n,
    given: undefined,
  },
  BatchRetryInstallations: {
    before: "overdue",
    call: (machineId) => operator.batchRetryInstallations({ requests: [{ machineId, force: true }] }),
    answered: 2n,
    given: 2n,
  },
  BatchRequestInstallations: {
    call: (machineId) =>
      operator.batchRequestInstallations({ requests: [{ machineId, target, uncheckedDisk: true, force: true }] }),
    answered: 2n,
    given: 2n,
  },
};

test.each(Object.entries(changes))("heartbeats do not wait while %s reads its answer", async (_name, change) => {
  using machine = await machineOn(database.db, [server]);
  const { machineId } = machine;
  const generation = await requestInstallation(database.db, machineId);
  if (change.before !== undefined) await moveInstallation(database.db, machineId, generation, change.before);
  const changing = await withClient(database.url, async (other) => {
    await other.query("begin");
    // Locks the view alone, which answers have the states from. No heartbeat reads it.
    await other.query("alter view installation_state set (security_barrier = true)");
    const answer = change.call(machineId);
    await waitForBlockedSessions(other, 1);
    expect(await machine.beat(0)).toBeUndefined();
    await other.query("rollback");
    return { answer };
  });
  expect((await changing.answer).installations).toMatchObject([{ generation: change.answered }]);
  expect(await machine.beat(0)).toBe(change.given);
});
