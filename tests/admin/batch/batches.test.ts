/**
 * What every batch promises, whichever requests it is of: all or nothing or each by itself, once, and told by index.
 */
import { randomUUID } from "node:crypto";
import { createRegistry, type MessageInitShape } from "@bufbuild/protobuf";
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import { Code } from "@connectrpc/connect";
import { sql } from "drizzle-orm";
import { beforeAll, describe, expect, test } from "vitest";
import { AgentService } from "../../../gen/bmaas/admin/v1/agent_service_pb.js";
import { BatchMode } from "../../../gen/bmaas/admin/v1/batch_pb.js";
import { InstallationService } from "../../../gen/bmaas/admin/v1/installation_service_pb.js";
import {
  type BatchSetHoldsRequestSchema,
  MachineService,
  type SetHoldRequestSchema,
} from "../../../gen/bmaas/admin/v1/machine_service_pb.js";
import {
  type BadRequest,
  BadRequestSchema,
  PreconditionFailureSchema,
} from "../../../gen/google/rpc/error_details_pb.js";
import type { Status } from "../../../gen/google/rpc/status_pb.js";
import { machineHold, osInstallationRequest } from "../../../src/db/schema/index.ts";
import { codeOf } from "../../support/agents.ts";
import { errorOf } from "../../support/call-error.ts";
import { bareMachine, encodeTestImage, readTags, testImage } from "../../support/machine.ts";
import { adminClient, tokenOf } from "../../support/operator.ts";
import { newPublicKey } from "../../support/seed.ts";
import { startServerWithDatabase } from "../../support/server.ts";

const { database, server } = await startServerWithDatabase();
const { db } = database;
const operator = await tokenOf(db, "operator");
const actor = `token:${operator.name}`;

/** Fields that all requests and all batches have. */
type Item = { machineId: string; requestId?: string };
type Batch = { requests: Item[]; mode?: BatchMode; requestId?: string };
type Answer = { failedRequests: Record<number, Status>; machines?: { id: string }[]; installations?: Item[] };

/** One kind of batch. */
interface Kind {
  readonly call: (batch: Batch, secret?: string) => Promise<Answer>;
  /** Calls the method for one machine. */
  readonly callOne: (item: Item) => Promise<unknown>;
  /** Returns a request that can be carried out. */
  readonly item: (machineId: string) => Item;
  /** Returns the same request, which the machine's state refuses. */
  readonly refused: () => Promise<{ item: Item; code: Code }>;
  /** Returns an id for a request that can be carried out. */
  readonly newId: () => Promise<string>;
  /** Makes machines what the request needs, without an event. */
  readonly prepare?: (machineIds: readonly string[]) => Promise<void>;
  /** Kind of the event that the history has of it. */
  readonly event: string;
}

const client = <S extends typeof AgentService | typeof MachineService | typeof InstallationService>(
  service: S,
  secret: string | undefined,
) => adminClient(service, server.adminUrl, secret);
const machinesOf = (secret = operator.secret) => client(MachineService, secret);
const agentsOf = (secret = operator.secret) => client(AgentService, secret);
const installationsOf = (secret = operator.secret) => client(InstallationService, secret);
const newMachine = () => bareMachine(db);
const provided = () => ({ provider: "lab", providerId: randomUUID() });
const target = { type: { case: "image", value: testImage } } as const;
const held = async () => {
  const machineId = await newMachine();
  await machinesOf().setHold({ machineId, reason: "test" });
  return machineId;
};
const many = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, index) => [`k${index}`, "v"]));
const withItem = (item: Item, more: object) => ({ ...item, ...more });

const kinds: Readonly<Record<string, Kind>> = {
  BatchCreateMachines: {
    call: (batch, secret) => machinesOf(secret).batchCreateMachines(batch),
    callOne: (item) => machinesOf().createMachine(item),
    item: (machineId) => withItem({ machineId }, { provided: provided(), labels: { rack: "r1" } }),
    refused: async () => ({ item: { machineId: await newMachine() }, code: Code.AlreadyExists }),
    newId: async () => randomUUID(),
    event: "machine_created",
  },
  BatchRegisterAgents: {
    call: (batch, secret) => agentsOf(secret).batchRegisterAgents(batch),
    callOne: (item) => agentsOf().registerAgent(item),
    item: (machineId) => withItem({ machineId }, { publicKey: Buffer.from(newPublicKey(), "hex") }),
    refused: async () => {
      const machineId = await newMachine();
      await agentsOf().registerAgent({ machineId, publicKey: Buffer.from(newPublicKey(), "hex") });
      const item = withItem({ machineId }, { publicKey: Buffer.from(newPublicKey(), "hex") });
      return { item, code: Code.FailedPrecondition };
    },
    newId: newMachine,
    event: "agent_registered",
  },
  BatchSetProvided: {
    call: (batch, secret) => machinesOf(secret).batchSetProvided(batch),
    callOne: (item) => machinesOf().setProvided(item),
    item: (machineId) => withItem({ machineId }, { provided: provided() }),
    refused: async () => {
      const taken = provided();
      await machinesOf().createMachine({ provided: taken });
      return { item: withItem({ machineId: await newMachine() }, { provided: taken }), code: Code.AlreadyExists };
    },
    newId: newMachine,
    event: "machine_provided",
  },
  BatchSetExpected: {
    call: (batch, secret) => machinesOf(secret).batchSetExpected(batch),
    callOne: (item) => machinesOf().setExpected(item),
    item: (machineId) => withItem({ machineId }, { expected: { serialNumber: `SN-${machineId}` } }),
    refused: async () => ({ item: { machineId: randomUUID() }, code: Code.NotFound }),
    newId: newMachine,
    event: "machine_expected",
  },
  BatchSetLabels: {
    call: (batch, secret) => machinesOf(secret).batchSetLabels(batch),
    callOne: (item) => machinesOf().setLabels(item),
    item: (machineId) => withItem({ machineId }, { set: { rack: "r2" } }),
    refused: async () => ({
      item: withItem({ machineId: await newMachine() }, { set: many(33) }),
      code: Code.InvalidArgument,
    }),
    newId: newMachine,
    event: "machine_labelled",
  },
  BatchRequestInstallations: {
    call: (batch, secret) => installationsOf(secret).batchRequestInstallations(batch),
    callOne: (item) => installationsOf().requestInstallation(item),
    item: (machineId) => withItem({ machineId }, { target, uncheckedDisk: true }),
    refused: async () => ({
      item: withItem({ machineId: await held() }, { target, uncheckedDisk: true }),
      code: Code.FailedPrecondition,
    }),
    newId: newMachine,
    event: "installation_requested",
  },
  BatchSetHolds: {
    call: (batch, secret) =>
      machinesOf(secret).batchSetHolds(batch as MessageInitShape<typeof BatchSetHoldsRequestSchema>),
    callOne: (item) => machinesOf().setHold(item as MessageInitShape<typeof SetHoldRequestSchema>),
    item: (machineId) =>
      withItem({ machineId }, { reason: "power", end: { case: "duration", value: { seconds: 60n } } }),
    refused: async () => ({
      item: withItem(
        { machineId: await newMachine() },
        { reason: "power", end: { case: "endTime", value: { seconds: 1n } } },
      ),
      code: Code.InvalidArgument,
    }),
    newId: newMachine,
    event: "machine_held",
  },
  BatchClearHolds: {
    call: (batch, secret) => machinesOf(secret).batchClearHolds(batch),
    callOne: (item) => machinesOf().clearHold(item),
    item: (machineId) => ({ machineId }),
    refused: async () => ({ item: { machineId: randomUUID() }, code: Code.NotFound }),
    newId: newMachine,
    prepare: async (machineIds) => {
      const rows = machineIds.map((machineId) => ({ machineId, reason: "test", isMuted: false, heldBy: "test" }));
      await db.insert(machineHold).values(rows);
    },
    event: "machine_released",
  },
  BatchCancelInstallations: {
    call: (batch, secret) => installationsOf(secret).batchCancelInstallations(batch),
    callOne: (item) => installationsOf().cancelInstallation(item),
    item: (machineId) => ({ machineId }),
    refused: async () => {
      const machineId = await newMachine();
      await addInstallations([machineId], "given");
      return { item: { machineId }, code: Code.FailedPrecondition };
    },
    newId: newMachine,
    prepare: (machineIds) => addInstallations(machineIds),
    event: "installation_cancelled",
  },
  BatchRetryInstallations: {
    call: (batch, secret) => installationsOf(secret).batchRetryInstallations(batch),
    callOne: (item) => installationsOf().retryInstallation(item),
    item: (machineId) => ({ machineId }),
    refused: async () => {
      const machineId = await newMachine();
      await addInstallations([machineId]);
      return { item: { machineId }, code: Code.FailedPrecondition };
    },
    newId: newMachine,
    prepare: (machineIds) => addInstallations(machineIds, "overdue"),
    event: "installation_requested",
  },
};

/** Stores an installation of each machine, without an event. */
async function addInstallations(machineIds: readonly string[], state?: "given" | "overdue"): Promise<void> {
  const minutes = (count: number) => sql`now() + make_interval(mins => ${count})`;
  const given = { firstGivenAt: minutes(-30), lastGivenAt: minutes(-30), timesGiven: 1n };
  const request = {
    ...{ generation: 1n, requestedBy: "test", request: encodeTestImage(1n) },
    ...(state && { ...given, dueAt: minutes(state === "overdue" ? -10 : 10) }),
  };
  await db.insert(osInstallationRequest).values(machineIds.map((machineId) => ({ ...request, machineId })));
}

const registry = createRegistry(BadRequestSchema, PreconditionFailureSchema);
const fieldsOf = (status: Status | undefined) =>
  (status?.details ?? [])
    .map((detail) => anyUnpack(detail, registry))
    .filter((detail): detail is BadRequest => detail?.$typeName === BadRequestSchema.typeName)
    .flatMap(({ fieldViolations }) => fieldViolations.map(({ field }) => field));
const idsOf = ({ machines, installations }: Answer) =>
  (machines ?? []).map(({ id }) => id).concat((installations ?? []).map(({ machineId }) => machineId));
const { PARTIAL_SUCCESS, ATOMIC } = BatchMode;

describe.each(Object.entries(kinds))(
  "%s",
  (_name, { call, callOne, item, refused, newId: newPlainId, prepare, event }) => {
    const newId = async () => {
      const id = await newPlainId();
      await prepare?.([id]);
      return id;
    };
    const items = async (count: number) =>
      (await Promise.all(Array.from({ length: count }, newId))).map((machineId) => item(machineId));
    const eventsOf = async ({ machineId }: Item) =>
      (await readTags(database, machineId)).history.filter(({ kind }) => kind === event);
    const countEvents = async (requests: readonly Item[]) =>
      (await Promise.all(requests.map(eventsOf))).map((events) => events.length);

    test("carries all out, in the order of the requests, and records who did it", async () => {
      const requests = await items(5);
      const answer = await call({ requests });
      expect(idsOf(answer)).toEqual(requests.map(({ machineId }) => machineId));
      expect(answer.failedRequests).toEqual({});
      for (const request of requests) expect(await eventsOf(request)).toMatchObject([{ actor }]);
    });

    test("changes the same as the method for one machine, and answers the same", async () => {
      const [alone, one] = await items(2);
      await callOne(alone as Item);
      await call({ requests: [one as Item] });
      const strip = ({ history }: Awaited<ReturnType<typeof readTags>>) =>
        history.map(({ kind, actor: by, detail }) => [kind, by, Object.keys(detail).toSorted()]);
      const [first, second] = [alone, one].map(async (each) =>
        strip(await readTags(database, (each as Item).machineId)),
      );
      expect(await second).toEqual(await first);
    });

    test("without a mode or atomic, changes nothing if one request of many is wrong, and says which and where", async () => {
      for (const mode of [undefined, ATOMIC]) {
        const requests = await items(20);
        requests[17] = { ...(requests[17] as Item), machineId: "no uuid" };
        const error = await errorOf(call({ requests, ...(mode && { mode }) }));
        expect(error).toMatchObject({ code: "InvalidArgument", fields: ["requests[17].machine_id"] });
        expect(error.message).toContain("requests[17]: machine_id");
        expect(error.message).toContain("nothing was changed");
        requests.splice(17, 1);
        expect(await countEvents(requests)).toEqual(requests.map(() => 0));
      }
    });

    test("atomic, changes nothing if a machine's state refuses one request of many", async () => {
      const requests = await items(6);
      const { item: wrong, code } = await refused();
      requests.splice(3, 0, wrong);
      const before = await countEvents(requests);
      const alone = await errorOf(callOne(wrong));
      const error = await errorOf(call({ requests, requestId: randomUUID() }));
      expect(error).toMatchObject({ code: Code[code], preconditions: alone.preconditions, reasons: alone.reasons });
      expect(error.message).toBe(`requests[3]: ${alone.message}: nothing was changed`);
      expect(error.fields).toEqual([expect.stringMatching(/^requests\[3\]\./)]);
      expect(await countEvents(requests)).toEqual(before);
    });

    test("each by itself, carries out the others and tells why one was not, as the method for one machine does", async () => {
      const requests = await items(6);
      const { item: wrong, code } = await refused();
      requests.splice(3, 0, wrong);
      const before = await countEvents(requests);
      const alone = await errorOf(callOne(wrong));
      const answer = await call({ requests, mode: PARTIAL_SUCCESS });
      expect(Object.keys(answer.failedRequests)).toEqual(["3"]);
      expect(answer.failedRequests[3]).toMatchObject({ code, message: alone.message });
      expect(idsOf(answer)).toEqual(requests.toSpliced(3, 1).map(({ machineId }) => machineId));
      expect(await countEvents(requests)).toEqual(before.map((count, index) => (index === 3 ? count : count + 1)));
    });

    test("each by itself, names index and field of what is wrong, and carries out the rest", async () => {
      const requests = await items(5);
      requests[0] = { ...(requests[0] as Item), machineId: "no uuid" };
      requests[2] = { ...(requests[2] as Item), requestId: randomUUID() };
      requests[4] = item((requests[3] as Item).machineId.toUpperCase());
      const { failedRequests } = await call({ requests, mode: PARTIAL_SUCCESS });
      expect(Object.entries(failedRequests).map(([index, status]) => [index, status.code, fieldsOf(status)])).toEqual([
        ["0", Code.InvalidArgument, ["requests[0].machine_id"]],
        ["2", Code.InvalidArgument, ["requests[2].request_id"]],
        ["4", Code.InvalidArgument, ["requests[4].machine_id"]],
      ]);
      expect(failedRequests[4]?.message).toContain("names the machine of requests[3] again");
      expect(await countEvents([requests[1] as Item, requests[2] as Item, requests[3] as Item])).toEqual([1, 0, 1]);
    });

    test("refuses machines that are named twice, whatever the letters, and changes nothing", async () => {
      const [one, two] = (await items(2)) as [Item, Item];
      const error = await errorOf(call({ requests: [one, two, item(one.machineId.toUpperCase())] }));
      expect(error).toMatchObject({ code: "InvalidArgument", fields: ["requests[2].machine_id"] });
      expect(await countEvents([one, two])).toEqual([0, 0]);
    });

    test("refuses a batch beyond its bound, and an empty one, in both modes", async () => {
      const one = item(await newId());
      const requests = Array.from({ length: 1_001 }, (_, index) => ({
        ...one,
        machineId: index === 0 ? one.machineId : randomUUID(),
      }));
      for (const mode of [ATOMIC, PARTIAL_SUCCESS]) {
        expect(await errorOf(call({ requests, mode }))).toMatchObject({
          code: "InvalidArgument",
          fields: ["requests"],
        });
        expect(await errorOf(call({ requests: [], mode }))).toMatchObject({
          code: "InvalidArgument",
          fields: ["requests"],
        });
      }
      expect(await errorOf(call({ requests: [one], mode: 9 as BatchMode }))).toMatchObject({ fields: ["mode"] });
      expect(await countEvents([one])).toEqual([0]);
    });

    test("under one request id changes once, and repeats its answer, failures included", async () => {
      const requests = await items(3);
      const { item: wrong } = await refused();
      const batch = { requests: [...requests, wrong], mode: PARTIAL_SUCCESS, requestId: randomUUID() };
      const [first, second] = await Promise.all([call(batch), call(batch)]);
      expect(second).toEqual(first);
      expect(await call(batch)).toEqual(first);
      expect(await countEvents(requests)).toEqual([1, 1, 1]);
      const other = await errorOf(call({ ...batch, requests }));
      expect(other).toMatchObject({ code: "InvalidArgument", fields: ["request_id"] });
    });

    test("an atomic batch that fails leaves its request id free", async () => {
      const requests = await items(2);
      const requestId = randomUUID();
      const { item: wrong } = await refused();
      expect(await codeOf(call({ requests: [...requests, wrong], requestId }))).not.toBe("ok");
      expect(await codeOf(call({ requests, requestId }))).toBe("ok");
      expect(await countEvents(requests)).toEqual([1, 1]);
    });

    test("carries out a thousand requests in one call", async () => {
      const ids = Array.from({ length: 1_000 }, () => randomUUID());
      if (event !== "machine_created") {
        await machinesOf().batchCreateMachines({
          requests: ids.map((machineId) => ({ machineId })),
          omitMachines: true,
        });
        await prepare?.(ids);
      }
      const answer = await call({ requests: ids.map((machineId) => item(machineId)) });
      expect(idsOf(answer)).toEqual(ids);
      expect(answer.failedRequests).toEqual({});
    });

    test("refuses nobody's and viewers' calls", async () => {
      const requests = await items(1);
      const viewer = await tokenOf(db, "viewer");
      expect(await codeOf(call({ requests }, viewer.secret))).toBe("PermissionDenied");
      expect(await codeOf(call({ requests }, "wrong"))).toBe("Unauthenticated");
      expect(await countEvents(requests)).toEqual([0]);
    });

    describe("at the same time in opposite order", () => {
      let outcomes: string[];
      const machineIds = Array.from({ length: 40 }, () => randomUUID());
      beforeAll(async () => {
        if (event !== "machine_created") {
          await machinesOf().batchCreateMachines({ requests: machineIds.map((machineId) => ({ machineId })) });
          await prepare?.(machineIds);
        }
        const requests = machineIds.map((machineId) => item(machineId));
        const again = machineIds.map((machineId) => item(machineId)).toReversed();
        const rounds = Array.from({ length: 4 }, () => [
          codeOf(call({ requests, mode: PARTIAL_SUCCESS })),
          codeOf(call({ requests: again, mode: PARTIAL_SUCCESS })),
        ]);
        outcomes = await Promise.all(rounds.flat());
      });

      test("both are answered, and no machine is left out", async () => {
        expect(outcomes).toEqual(outcomes.map(() => "ok"));
        const counts = await countEvents(machineIds.map((machineId) => ({ machineId })));
        expect(counts.every((count) => count >= 1)).toBe(true);
      });
    });
  },
);
