/** Receivers: created, listed without secrets, rotated, probed and deleted, and what of their URLs is refused. */
import { randomUUID } from "node:crypto";
import { Code, ConnectError } from "@connectrpc/connect";
import { sql } from "drizzle-orm";
import { beforeAll, expect, test } from "vitest";
import { DeliveryState, ReceiverService } from "../../../gen/bmaas/admin/v1/receiver_service_pb.js";
import { ErrorInfoSchema } from "../../../gen/google/rpc/error_details_pb.js";
import { codeOf } from "../../support/agents.ts";
import { errorOf } from "../../support/call-error.ts";
import { createTestDatabase } from "../../support/database.ts";
import { bareMachine } from "../../support/machine.ts";
import { adminClient, tokenOf } from "../../support/operator.ts";
import { allowLoopback, readDeliveries, recordEvent } from "../../support/receivers.ts";
import { startTestServer } from "../../support/server.ts";
import { waitUntil } from "../../support/wait.ts";
import { answers, createAuthority, isSignedWith, startReceiver } from "../../support/webhook-receiver.ts";

const database = await createTestDatabase();
const { db } = database;
const server = await startTestServer(database.url, allowLoopback);
const { name: adminName, secret: token } = await tokenOf(db, "admin");
const receivers = adminClient(ReceiverService, server.adminUrl, token);

beforeAll(() => async () => {
  await server.close();
  await database.close();
});

const newName = () => `r-${randomUUID().slice(0, 8)}`;
const find = async (name: string) => (await receivers.listReceivers({})).receivers.find((each) => each.name === name);

test("a receiver is created with a secret that is shown once, and listed by a viewer without secrets", async () => {
  const name = newName();
  const url = "https://hooks.example:8443/services/T0/hidden-path?token=hidden-query";
  const { secret, receiver, unmatchedEvents } = await receivers.createReceiver({
    name,
    url,
    events: ["installation.*", "instalation.*", "machine.created"],
  });
  expect(secret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/);
  expect(unmatchedEvents).toEqual(["instalation.*"]);
  expect(receiver).toMatchObject({ name, origin: "https://hooks.example:8443", creator: `token:${adminName}` });
  const { secret: viewer } = await tokenOf(db, "viewer");
  const listed = await adminClient(ReceiverService, server.adminUrl, viewer).listReceivers({});
  expect(listed.receivers.find((each) => each.name === name)).toMatchObject({
    events: ["installation.*", "instalation.*", "machine.created"],
    failing: false,
    failures: 0n,
    waitingDeliveries: 0n,
    secretTimes: [expect.anything()],
  });
  const everything = JSON.stringify([listed, server.logged], (_key, value) =>
    typeof value === "bigint" ? String(value) : value,
  );
  for (const hidden of [secret.slice(6), "hidden-path", "hidden-query"]) expect(everything).not.toContain(hidden);
});

test.each([
  ["a private address", "https://10.0.0.1/hook"],
  ["an address of the metadata service", "https://169.254.169.254/latest"],
  ["plain http", "http://hooks.example/"],
  ["credentials", "https://user:pass@hooks.example/"],
  ["no host", "https://"],
  ["another scheme", "ftp://hooks.example/"],
  ["a space", "https://hooks.example/a b"],
])("refuses a URL with %s, and stores nothing", async (_what, url) => {
  const name = newName();
  const { code, fields } = await errorOf(receivers.createReceiver({ name, url, events: ["*"] }));
  expect([code, fields]).toEqual(["InvalidArgument", ["url"]]);
  expect(await find(name)).toBeUndefined();
});

test.each([
  ["no events", { events: [] }, "events"],
  ["an event that is none", { events: ["Machine created"] }, "events[0]"],
  [
    "CAs that are none",
    { caCertificates: "-----BEGIN CERTIFICATE-----\nno\n-----END CERTIFICATE-----" },
    "ca_certificates",
  ],
  ["a name with a space", { name: "a b" }, "name"],
])("refuses %s", async (_what, given, field) => {
  const request = { name: newName(), url: "https://hooks.example/", events: ["*"], ...given };
  expect(await errorOf(receivers.createReceiver(request))).toMatchObject({ code: "InvalidArgument", fields: [field] });
});

test("a name belongs to one receiver, and a repeated call creates no second one and shows no secret", async () => {
  const request = { name: newName(), url: "https://hooks.example/", events: ["*"], requestId: randomUUID() };
  await receivers.createReceiver(request);
  const reasonOf = async (call: Promise<unknown>) => {
    const error = ConnectError.from(await call.catch((thrown: unknown) => thrown));
    return [error.code, error.findDetails(ErrorInfoSchema)[0]?.reason];
  };
  expect(await reasonOf(receivers.createReceiver(request))).toEqual([Code.AlreadyExists, "RECEIVER_MADE_BEFORE"]);
  expect(await reasonOf(receivers.createReceiver({ ...request, requestId: "" }))).toEqual([
    Code.AlreadyExists,
    "RECEIVER_EXISTS",
  ]);
  const { name } = request;
  const added = { name, requestId: randomUUID() };
  await receivers.addReceiverSecret(added);
  expect(await reasonOf(receivers.addReceiverSecret(added))).toEqual([Code.AlreadyExists, "SECRET_MADE_BEFORE"]);
  expect((await find(name))?.secretTimes).toHaveLength(2);
  const { rows } = await db.execute(sql`select convert_from(response, 'LATIN1') as answer from admin_request`);
  expect(JSON.stringify(rows)).not.toContain("whsec_");
});

test("while secrets are rotated, messages verify with the old and the new one", async () => {
  const receiver = await startReceiver();
  const name = newName();
  const { secret: old } = await receivers.createReceiver({ name, url: receiver.url, events: ["machine.created"] });
  const { secret: recent } = await receivers.addReceiverSecret({ name });
  await receivers.probeReceiver({ name });
  const [first] = receiver.messages;
  if (first === undefined) throw new Error("nothing arrived");
  expect([old, recent].map((secret) => isSignedWith(secret, first))).toEqual([true, true]);
  const { receiver: retired } = await receivers.retireReceiverSecrets({ name });
  expect(retired?.secretTimes).toHaveLength(1);
  await bareMachine(db);
  const second = (await receiver.waitFor(2))[1];
  if (second === undefined) throw new Error("nothing arrived");
  expect([old, recent].map((secret) => isSignedWith(secret, second))).toEqual([false, true]);
});

test("a receiver has at most four secrets", async () => {
  const name = newName();
  await receivers.createReceiver({ name, url: "https://hooks.example/", events: ["*"] });
  for (let secrets = 1; secrets < 4; secrets++) await receivers.addReceiverSecret({ name });
  expect(await codeOf(receivers.addReceiverSecret({ name }))).toBe("FailedPrecondition");
});

test("a probe says how the receiver answers, and is not recorded", async () => {
  const { ca, issue } = createAuthority();
  const receiver = await startReceiver(answers.accept, issue("127.0.0.1"));
  const name = newName();
  await receivers.createReceiver({ name, url: receiver.url, events: ["machine.deleted"], caCertificates: ca });
  expect((await receivers.probeReceiver({ name })).attempt).toMatchObject({ status: 204, error: "" });
  expect(receiver.messages[0]).toMatchObject({ type: "receiver.probe", data: { receiver: name } });
  receiver.answer(answers.refuse);
  expect((await receivers.probeReceiver({ name })).attempt).toMatchObject({
    status: 500,
    error: "answered 500",
    answer: "out of order",
  });
  expect((await receivers.listDeliveries({ name })).deliveries).toEqual([]);
  expect((await find(name))?.failures).toBe(0n);
});

test("deliveries are listed newest first, page by page and by state, and sent again by their ids", async () => {
  const receiver = await startReceiver();
  const name = newName();
  await receivers.createReceiver({ name, url: receiver.url, events: ["machine.labelled"] });
  const machineId = await bareMachine(db);
  for (const number of [1, 2, 3]) await recordEvent(db, machineId, number);
  await receiver.waitFor(3);
  await waitUntil("all are recorded", async () => (await find(name))?.waitingDeliveries === 0n);
  const first = await receivers.listDeliveries({ name, states: [DeliveryState.DELIVERED], pageSize: 2 });
  const states = [DeliveryState.DELIVERED];
  const rest = await receivers.listDeliveries({ name, states, pageSize: 2, pageToken: first.nextPageToken });
  const listed = [...first.deliveries, ...rest.deliveries];
  expect(listed.map(({ payload }) => JSON.parse(payload).data.detail.number)).toEqual(["3", "2", "1"]);
  expect(rest.nextPageToken).toBe("");
  expect(listed[0]).toMatchObject({ machineId, eventType: "machine.labelled", attempts: 1 });
  expect(listed[0]?.lastAttempts).toMatchObject([{ status: 204, error: "" }]);
  expect(await codeOf(receivers.listDeliveries({ name, pageToken: first.nextPageToken }))).toBe("InvalidArgument");
  expect((await receivers.listDeliveries({ name, states: [DeliveryState.GIVEN_UP] })).deliveries).toEqual([]);
  const id = listed[2]?.id ?? "";
  const named = await receivers.listDeliveries({ name, deliveryIds: [id, `msg_${"0".repeat(32)}`] });
  expect(named.deliveries.map((each) => each.id)).toEqual([id]);
  expect(named.nextPageToken).toBe("");
  expect(await codeOf(receivers.listDeliveries({ name, deliveryIds: ["first"] }))).toBe("InvalidArgument");
  expect(await receivers.resendDeliveries({ name, deliveryIds: [id] })).toMatchObject({ deliveries: 1 });
  expect((await receiver.waitFor(4))[3]).toMatchObject({ id });
  expect(await receivers.resendDeliveries({ name })).toMatchObject({ deliveries: 0 });
  const lines = server.logged.filter(({ msg, receiver: of }) => msg === "deliveries were resent" && of === name);
  expect(lines).toMatchObject([{ deliveries: 1, actor: `token:${adminName}`, requestId: expect.any(String) }]);
});

test("what is not there is not found, and a resend of it sends nothing", async () => {
  const name = newName();
  expect(await codeOf(receivers.deleteReceiver({ name }))).toBe("NotFound");
  expect(await codeOf(receivers.probeReceiver({ name }))).toBe("NotFound");
  expect(await codeOf(receivers.listDeliveries({ name }))).toBe("NotFound");
  expect(await codeOf(receivers.addReceiverSecret({ name }))).toBe("NotFound");
  const receiver = await startReceiver();
  await receivers.createReceiver({ name, url: receiver.url, events: ["machine.created"] });
  await bareMachine(db);
  await receiver.waitFor(1);
  await waitUntil("it is recorded", async () => (await find(name))?.waitingDeliveries === 0n);
  const [delivery] = await readDeliveries(database, name);
  const deliveryIds = [delivery?.id ?? "", `msg_${"0".repeat(32)}`];
  expect(await codeOf(receivers.resendDeliveries({ name, deliveryIds }))).toBe("NotFound");
  expect((await readDeliveries(database, name))[0]?.state).toBe("delivered");
});

test("there are at most 50 receivers, however many are created at once", async () => {
  const create = () =>
    codeOf(receivers.createReceiver({ name: newName(), url: "https://hooks.example/", events: ["*"] }));
  const codes = await Promise.all(Array.from({ length: 55 }, create));
  expect(codes).toContain("FailedPrecondition");
  expect((await receivers.listReceivers({})).receivers).toHaveLength(50);
  await db.execute(sql`delete from receiver where url = 'https://hooks.example/'`);
});
