/** One attempt to send a message: signed, and bounded in time, bytes and addresses, whatever the receiver does. */
import { Webhook } from "standardwebhooks";
import { describe, expect, test, vi } from "vitest";
import { createAddressGuard } from "../../src/receivers/allowed-address.ts";
import { type LookUp, type OutgoingMessage, type SendOutcome, sendMessage } from "../../src/receivers/send-message.ts";
import { answers, createAuthority, isSignedWith, startReceiver } from "../support/webhook-receiver.ts";

const local = createAddressGuard({ networks: ["127.0.0.1"], hosts: [] });
const secrets = [1, 2].map((fill) => `whsec_${Buffer.alloc(32, fill).toString("base64")}`);
const message = (url: string): OutgoingMessage => ({
  url,
  ca: null,
  secrets,
  id: "msg_00000000000000000000000000000001",
  payload: JSON.stringify({ type: "installation.reported", data: { text: "é ✓" } }),
});

function send(
  url: string,
  overrides: Partial<OutgoingMessage> = {},
  guard = local,
  lookUp?: LookUp,
): Promise<SendOutcome> {
  return sendMessage(guard, { ...message(url), ...overrides }, new AbortController().signal, lookUp);
}

test("a message verifies with each of the secrets, by the library of Standard Webhooks, and with no other", async () => {
  const receiver = await startReceiver();
  expect(await send(receiver.url)).toMatchObject({ status: 204, error: null, answer: "", retryAfterMs: 0 });
  const [arrived] = receiver.messages;
  if (arrived === undefined) throw new Error("nothing arrived");
  expect(arrived.body).toBe(message("").payload);
  expect(arrived.headers).toMatchObject({
    "content-type": "application/json",
    "webhook-id": "msg_00000000000000000000000000000001",
    "webhook-signature": expect.stringMatching(/^v1,\S+ v1,\S+$/),
  });
  for (const secret of secrets) expect(isSignedWith(secret, arrived)).toBe(true);
  expect(isSignedWith(`whsec_${Buffer.alloc(32, 3).toString("base64")}`, arrived)).toBe(false);
  expect(isSignedWith(secrets[0] ?? "", { ...arrived, body: arrived.body.replace("é", "e") })).toBe(false);
  expect(() => new Webhook("whsec_")).toThrow();
});

describe("an answer that is wrong", () => {
  test("fails the attempt, with its status and its beginning", async () => {
    const receiver = await startReceiver((_message, response) => {
      response.writeHead(503, { "retry-after": "120" }).end("try \u0007\n later");
    });
    expect(await send(receiver.url)).toMatchObject({
      status: 503,
      error: "answered 503",
      answer: "try later",
      retryAfterMs: 120_000,
    });
  });

  test("may ask for an hour at the most", async () => {
    const receiver = await startReceiver((_message, response) => {
      response.writeHead(429, { "retry-after": "999999999" }).end();
    });
    expect(await send(receiver.url)).toMatchObject({ status: 429, retryAfterMs: 3_600_000 });
  });

  test("redirects nowhere", async () => {
    const target = await startReceiver();
    const receiver = await startReceiver((_message, response) => {
      response.writeHead(307, { location: target.url }).end();
    });
    expect(await send(receiver.url)).toMatchObject({ status: 307, error: "answered 307; redirects are not followed" });
    expect(target.messages).toEqual([]);
  });

  test("is read up to some KB, however long it is", async () => {
    let written = 0;
    const receiver = await startReceiver((_message, response) => {
      response.writeHead(500);
      const write = () => {
        if (response.destroyed || written > 64 * 1024 * 1024) return;
        written += 65_536;
        response.write(Buffer.alloc(65_536, "a"), write);
      };
      write();
    });
    const outcome = await send(receiver.url);
    expect(outcome).toMatchObject({ status: 500, error: "answered 500", answer: "a".repeat(500) });
    expect(written).toBeLessThan(64 * 1024 * 1024);
  });

  test("with too many headers is none", async () => {
    const receiver = await startReceiver((_message, response) => {
      response.writeHead(200, { "x-much": "a".repeat(40_000) }).end();
    });
    expect(await send(receiver.url)).toMatchObject({
      status: null,
      error: expect.stringContaining("HPE_HEADER_OVERFLOW"),
    });
  });
});

describe("an answer that is slow", () => {
  test("counts as soon as its status is there, though its body never ends", async () => {
    const receiver = await startReceiver((_message, response) => {
      response.writeHead(200);
      response.write("go on");
    });
    const outcome = await send(receiver.url);
    expect(outcome).toMatchObject({ status: 200, error: null, answer: "go on" });
    expect(outcome.durationMs).toBeGreaterThanOrEqual(1_900);
  });

  test("fails the attempt when none comes in time", async () => {
    const receiver = await startReceiver(answers.stall);
    const outcome = await send(receiver.url);
    expect(outcome).toMatchObject({ status: null, error: "no answer within 10 s" });
    expect(receiver.messages).toHaveLength(1);
  });

  test("is not waited for when the server stops", async () => {
    const receiver = await startReceiver(answers.stall);
    const stop = new AbortController();
    const sent = sendMessage(local, message(receiver.url), stop.signal);
    await receiver.waitFor(1);
    stop.abort();
    expect(await sent).toMatchObject({ status: null, error: "the server stopped before the answer" });
  });
});

test("nobody who listens, and no such host, fail the attempt", async () => {
  expect(await send("http://127.0.0.1:1/")).toMatchObject({ error: "the connection failed (ECONNREFUSED)" });
  expect(await send("https://no-such-host.invalid/")).toMatchObject({
    error: expect.stringMatching(/^the connection failed \((ENOTFOUND|EAI_AGAIN)\)$/),
  });
});

describe("a name that leads to a private address", () => {
  const lookUp = vi.fn<LookUp>((_name, _options, callback) => callback(null, [{ address: "127.0.0.1", family: 4 }]));
  const open = createAddressGuard({ networks: [], hosts: [] });

  test("is refused when it is called, not only when it is created", async () => {
    const receiver = await startReceiver();
    const url = receiver.url.replace("http://127.0.0.1", "https://rebinding.example");
    expect(() => open.checkUrl(new URL(url))).not.toThrow();
    expect(await send(url, {}, open, lookUp)).toMatchObject({
      status: null,
      error: expect.stringMatching(/^rebinding\.example leads to 127\.0\.0\.1, which is not a public address/),
    });
    expect(receiver.messages).toEqual([]);
  });

  test("is allowed when the setting names the host", async () => {
    const receiver = await startReceiver();
    const named = createAddressGuard({ networks: [], hosts: ["hooks.internal"] });
    const url = receiver.url.replace("127.0.0.1", "hooks.internal");
    lookUp.mockClear();
    expect(await send(url, {}, named, lookUp)).toMatchObject({ status: 204, error: null });
    // The address that was checked is the one that is called: nothing looks the name up again.
    expect(lookUp).toHaveBeenCalledTimes(1);
  });
});

describe("a certificate", () => {
  test("of a private CA is accepted by a receiver's own CA, and by no other", async () => {
    const { ca, issue } = createAuthority();
    const receiver = await startReceiver(answers.accept, issue("127.0.0.1"));
    expect(await send(receiver.url)).toMatchObject({
      error: expect.stringMatching(/^its certificate is from an untrusted CA/),
    });
    expect(await send(receiver.url, { ca: createAuthority().ca })).toMatchObject({
      error: expect.stringMatching(/CA/),
    });
    expect(receiver.messages).toEqual([]);
    expect(await send(receiver.url, { ca })).toMatchObject({ status: 204, error: null });
  });

  test("for another name is refused", async () => {
    const { ca, issue } = createAuthority();
    const receiver = await startReceiver(answers.accept, issue("127.0.0.9"));
    expect(await send(receiver.url, { ca })).toMatchObject({
      error: "the connection failed (ERR_TLS_CERT_ALTNAME_INVALID)",
    });
  });
});
