import { randomUUID } from "node:crypto";
import { create, toBinary } from "@bufbuild/protobuf";
import { eq } from "drizzle-orm";
import { describe, expect, test } from "vitest";
import { InstallationState } from "../../../gen/bmaas/admin/v1/installation_pb.js";
import {
  InstallationService,
  type ListInstallationsRequest,
} from "../../../gen/bmaas/admin/v1/installation_service_pb.js";
import { OSInstallationRequestSchema } from "../../../gen/cloud/bmaas/server/api/agent_pb.js";
import { osInstallationRequest } from "../../../src/db/schema/index.ts";
import { codeOf } from "../../support/agents.ts";
import { errorOf } from "../../support/call-error.ts";
import { type MovableState, moveInstallation } from "../../support/installation.ts";
import { bareMachine, requestInstallation, testImage } from "../../support/machine.ts";
import { adminClient, tokenOf } from "../../support/operator.ts";
import { startServerWithDatabase } from "../../support/server.ts";

const { database, server } = await startServerWithDatabase();
const viewer = await tokenOf(database.db, "viewer");
const installations = adminClient(InstallationService, server.adminUrl, viewer.secret);
const nobody = adminClient(InstallationService, server.adminUrl);

const { PENDING, GIVEN, INSTALLING, OVERDUE, SUCCEEDED, FAILED, CANCELLED, SUPERSEDED } = InstallationState;
const movable = ["given", "installing", "overdue", "succeeded", "failed", "cancelled"] as const;

/** One machine with two superseded installations and a pending one, and one machine for each other state. */
async function createFleet() {
  const machineIds: string[] = [];
  const requested = async (count: number, state?: MovableState) => {
    const machineId = await bareMachine(database.db);
    machineIds.push(machineId);
    let generation = 0n;
    for (let made = 0; made < count; made++) generation = await requestInstallation(database.db, machineId);
    if (state !== undefined) await moveInstallation(database.db, machineId, generation, state);
    return [machineId, generation] as const;
  };
  const busy = await requested(3);
  const byState = new Map<string, readonly [string, bigint]>();
  for (const state of movable) byState.set(state, await requested(1, state));
  return { busy: busy[0], byState, machineIds };
}

const fleet = await createFleet();

/** All pages, as "machine/generation". */
async function listAll(request: Partial<Omit<ListInstallationsRequest, "$typeName">>): Promise<string[]> {
  const listed: string[] = [];
  for (let pageToken = "", pages = 0; ; pages++) {
    if (pages > 50) throw new Error("the list does not end");
    const page = await installations.listInstallations({ ...request, pageToken });
    listed.push(...page.installations.map(({ machineId, generation }) => `${machineId}/${generation}`));
    pageToken = page.nextPageToken;
    if (pageToken === "") return listed;
  }
}

const everything = [
  ...[3, 2, 1].map((generation) => `${fleet.busy}/${generation}`),
  ...[...fleet.byState.values()].map(([machineId, generation]) => `${machineId}/${generation}`),
].toSorted((a, b) => (a.slice(0, 36) === b.slice(0, 36) ? (a < b ? 1 : -1) : a < b ? -1 : 1));

describe("get", () => {
  test("returns the newest installation, or the one of a generation", async () => {
    const newest = await installations.getInstallation({ machineId: fleet.busy.toUpperCase() });
    expect(newest.installation).toMatchObject({ machineId: fleet.busy, generation: 3n, state: PENDING });
    const first = await installations.getInstallation({ machineId: fleet.busy, generation: 1n });
    expect(first.installation).toMatchObject({ generation: 1n, state: SUPERSEDED });
  });

  test.each([
    ["given", { state: GIVEN, timesGiven: 3n }],
    ["installing", { state: INSTALLING, progress: { phase: "writing", percent: 40 } }],
    ["overdue", { state: OVERDUE, error: "" }],
    ["succeeded", { state: SUCCEEDED, error: "" }],
    ["failed", { state: FAILED, error: "no such disk" }],
    ["cancelled", { state: CANCELLED, timesGiven: 0n }],
  ] as const)("says of one that is %s what is known of it", async (state, expected) => {
    const [machineId, generation] = fleet.byState.get(state) ?? ["", 0n];
    const { installation } = await installations.getInstallation({ machineId, generation });
    expect(installation).toMatchObject({ ...expected, requester: "test" });
    expect(installation?.stateTime).toBeDefined();
    expect(installation?.firstGivenTime === undefined).toBe(state === "cancelled");
    expect(installation?.endTime === undefined).toBe(!["succeeded", "failed", "cancelled"].includes(state));
  });

  test("leaves out what a URL may hold as secrets, and a request that cannot be decoded", async () => {
    const machineId = await bareMachine(database.db);
    await requestInstallation(database.db, machineId);
    const store = (request: Uint8Array) =>
      database.db.update(osInstallationRequest).set({ request }).where(eq(osInstallationRequest.machineId, machineId));
    const url = "https://user:password@images.example/os.img?signature=abc";
    const value = { ...testImage, url, userData: Buffer.from("secret") };
    const request = create(OSInstallationRequestSchema, { generation: 1n, type: { case: "image", value } });
    await store(toBinary(OSInstallationRequestSchema, request));
    const shown = await installations.getInstallation({ machineId });
    expect(shown.installation?.target?.type.value).toEqual(
      expect.objectContaining({ url: "https://images.example/os.img", digest: testImage.digest, rootDevice: "sda" }),
    );
    expect(shown.installation?.target?.type.value).not.toHaveProperty("userData");
    await store(Buffer.from([0xff]));
    const broken = await installations.getInstallation({ machineId });
    expect(broken.installation).toMatchObject({ generation: 1n, state: PENDING });
    expect(broken.installation?.target).toBeUndefined();
    await database.db.delete(osInstallationRequest).where(eq(osInstallationRequest.machineId, machineId));
  });

  test("refuses what does not exist, what is wrong, and nobody", async () => {
    const machineId = await bareMachine(database.db);
    expect(await codeOf(installations.getInstallation({ machineId }))).toBe("NotFound");
    expect(await codeOf(installations.getInstallation({ machineId: randomUUID() }))).toBe("NotFound");
    expect(await codeOf(installations.getInstallation({ machineId: fleet.busy, generation: 4n }))).toBe("NotFound");
    const wrong = await errorOf(installations.getInstallation({ machineId: "nope", generation: -1n }));
    expect(wrong).toMatchObject({ code: "InvalidArgument", fields: ["machine_id", "generation"] });
    expect(await codeOf(nobody.getInstallation({ machineId: fleet.busy }))).toBe("Unauthenticated");
  });
});

describe("list", () => {
  test.each([0, 1, 2, 3, 1000])("returns all, by machine and newest first, in pages of %s", async (pageSize) => {
    expect(await listAll({ pageSize })).toEqual(everything);
  });

  test.each([1, 2, 50])("returns those of one machine, in pages of %s", async (pageSize) => {
    const expected = everything.filter((name) => name.startsWith(fleet.busy));
    expect(await listAll({ machineId: fleet.busy.toUpperCase(), pageSize })).toEqual(expected);
    expect(await listAll({ machineId: fleet.busy, states: [SUPERSEDED], pageSize })).toEqual(expected.slice(1));
  });

  const nameOf = (state: string) => (fleet.byState.get(state) ?? []).join("/");
  const inOrder = (names: string[]) => everything.filter((name) => names.includes(name));
  const pending = `${fleet.busy}/3`;

  test.each([
    ["pending", [PENDING], [pending]],
    ["given", [GIVEN], [nameOf("given")]],
    ["installing", [INSTALLING], [nameOf("installing")]],
    ["overdue", [OVERDUE], [nameOf("overdue")]],
    ["succeeded", [SUCCEEDED], [nameOf("succeeded")]],
    ["failed", [FAILED], [nameOf("failed")]],
    ["cancelled", [CANCELLED], [nameOf("cancelled")]],
    ["superseded", [SUPERSEDED], [`${fleet.busy}/2`, `${fleet.busy}/1`]],
    ["open", [GIVEN, PENDING, OVERDUE], [pending, nameOf("given"), nameOf("overdue")]],
    ["wanting a look", [OVERDUE, FAILED], [nameOf("overdue"), nameOf("failed")]],
    ["mixed", [FAILED, PENDING, CANCELLED], [pending, nameOf("failed"), nameOf("cancelled")]],
  ])("returns those that are %s, however large the pages", async (_, states, names) => {
    for (const pageSize of [1, 2, 50]) expect(await listAll({ states, pageSize })).toEqual(inOrder(names));
  });

  test("has no page after the one that the last installation is on", async () => {
    const full = await installations.listInstallations({ pageSize: everything.length });
    expect(full.installations).toHaveLength(everything.length);
    expect(full.nextPageToken).toBe("");
  });

  test("refuses a token of another list, and what is none", async () => {
    const { nextPageToken } = await installations.listInstallations({ pageSize: 1 });
    const list = (fields: object) => errorOf(installations.listInstallations(fields));
    const refused = { code: "InvalidArgument", fields: ["page_token"] };
    expect(await list({ pageToken: nextPageToken, states: [FAILED] })).toMatchObject(refused);
    expect(await list({ pageToken: nextPageToken, machineId: fleet.busy })).toMatchObject(refused);
    expect(await list({ pageToken: `${nextPageToken}A` })).toMatchObject(refused);
    expect(await list({ pageToken: "nope" })).toMatchObject(refused);
    expect(await list({ pageToken: nextPageToken, pageSize: 1000 })).toMatchObject({ code: "ok" });
  });

  test("goes on with the same states in another order", async () => {
    const first = await installations.listInstallations({ states: [FAILED, OVERDUE], pageSize: 1 });
    const second = await installations.listInstallations({
      states: [OVERDUE, FAILED, FAILED],
      pageSize: 1,
      pageToken: first.nextPageToken,
    });
    const names = [...first.installations, ...second.installations].map(
      ({ machineId, generation }) => `${machineId}/${generation}`,
    );
    expect(names).toEqual(inOrder([nameOf("overdue"), nameOf("failed")]));
  });

  test("refuses what is wrong, a machine that does not exist, and nobody", async () => {
    const wrong = await errorOf(
      installations.listInstallations({ machineId: "nope", states: [InstallationState.UNSPECIFIED], pageSize: 1001 }),
    );
    expect(wrong).toMatchObject({ code: "InvalidArgument", fields: ["machine_id", "states[0]", "page_size"] });
    expect(await codeOf(installations.listInstallations({ pageSize: -1 }))).toBe("InvalidArgument");
    expect(await codeOf(installations.listInstallations({ machineId: randomUUID() }))).toBe("NotFound");
    expect(await codeOf(nobody.listInstallations({}))).toBe("Unauthenticated");
  });

  test("a machine without installations has none", async () => {
    expect(await listAll({ machineId: await bareMachine(database.db) })).toEqual([]);
  });
});
