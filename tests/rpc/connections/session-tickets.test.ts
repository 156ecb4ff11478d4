/** Which TLS sessions can be resumed, and that every other ticket leads to a full handshake and no worse. */
import { setTimeout as delay } from "node:timers/promises";
import type { TLSSocket } from "node:tls";
import { describe, expect, test, vi } from "vitest";
import { generateAgentKey } from "../../../src/agent/agent-key.ts";
import { createClientCertificate } from "../../../src/agent/client-certificate.ts";
import type { TicketKeys } from "../../../src/rpc/connections/session-tickets.ts";
import { createTicketKeys, createTicketSecret, ticketPeriodMs } from "../../../src/tls/ticket-secret.ts";
import { startAgentListener } from "../../support/agent-listener.ts";
import { beatInSession } from "../../support/tls-session.ts";

const newKeys = () => createTicketKeys(createTicketSecret(Date.now()));
const newCertificate = async () => createClientCertificate(await generateAgentKey());

/** Starts a listener that records the certificate of each call. */
async function start(tickets: TicketKeys | "off" = newKeys()) {
  const certificates: (string | undefined)[] = [];
  const listener = await startAgentListener({
    tickets,
    authenticate: ({ tls }) => {
      certificates.push((tls as TLSSocket).getPeerX509Certificate()?.toString());
      return () => {};
    },
  });
  return { ...listener, certificates };
}

describe.each(["TLSv1.3", "TLSv1.2"] as const)("a session of %s", (maxVersion) => {
  test.each(["h2", "http/1.1"] as const)("is resumed with the client's certificate, over %s", async (alpn) => {
    await using listener = await start();
    const certificate = await newCertificate();
    const first = await beatInSession({ ...listener, certificate, alpn, maxVersion });
    // The certificate is the session's, whatever the client has at hand.
    const second = await beatInSession({ ...listener, session: first.session, alpn, maxVersion });
    const third = await beatInSession({
      ...listener,
      certificate: await newCertificate(),
      session: second.session,
      alpn,
      maxVersion,
    });
    expect([first, second, third].map(({ isResumed, status }) => ({ isResumed, status }))).toEqual([
      { isResumed: false, status: 200 },
      { isResumed: true, status: 200 },
      { isResumed: true, status: 200 },
    ]);
    expect(listener.certificates).toEqual([certificate.cert, certificate.cert, certificate.cert]);
  });

  test("of a client without a certificate is resumed without one", async () => {
    await using listener = await start();
    const { session } = await beatInSession({ ...listener, maxVersion });
    const again = await beatInSession({ ...listener, certificate: await newCertificate(), session, maxVersion });
    expect(again.isResumed).toBe(true);
    expect(listener.certificates).toEqual([undefined, undefined]);
  });

  test("is resumed by another listener with the same secret, not by one with another", async () => {
    const secret = createTicketSecret(Date.now());
    await using one = await start(createTicketKeys(secret));
    await using same = await start(createTicketKeys(secret));
    await using other = await start();
    const certificate = await newCertificate();
    const { session } = await beatInSession({ ...one, certificate, maxVersion });
    // The CAs differ, and a client does not check the certificate of a session that it resumes.
    const resumed = await beatInSession({ ...same, certificate, session, maxVersion });
    const full = await beatInSession({ ...other, certificate, session, maxVersion });
    expect([resumed.isResumed, full.isResumed]).toEqual([true, false]);
    expect([...same.certificates, ...other.certificates]).toEqual([certificate.cert, certificate.cert]);
  });

  test("is not resumed after its life", async () => {
    await using listener = await start({ ...newKeys(), lifeMs: 1_000 });
    const certificate = await newCertificate();
    const { session } = await beatInSession({ ...listener, certificate, maxVersion });
    // OpenSSL counts whole seconds.
    await delay(2_100);
    const again = await beatInSession({ ...listener, certificate, session, maxVersion });
    expect(again).toMatchObject({ isResumed: false, status: 200 });
    expect(listener.certificates).toEqual([certificate.cert, certificate.cert]);
  });

  test("is not resumed if its ticket was changed", async () => {
    await using listener = await start();
    const certificate = await newCertificate();
    const { session } = await beatInSession({ ...listener, certificate, maxVersion });
    const ticket = session ?? Buffer.alloc(0);
    // The client keeps the ticket near the end of its session.
    const changed = await Promise.all(
      [100, 200, 300].map((fromEnd) => {
        const bytes = Buffer.from(ticket);
        bytes[bytes.length - fromEnd] = (bytes[bytes.length - fromEnd] ?? 0) ^ 0xff;
        return beatInSession({ ...listener, certificate, session: bytes, maxVersion });
      }),
    );
    expect(changed.map(({ isResumed, status }) => ({ isResumed, status }))).toEqual([
      { isResumed: false, status: 200 },
      { isResumed: false, status: 200 },
      { isResumed: false, status: 200 },
    ]);
  });

  test("is not resumed while tickets are off", async () => {
    await using listener = await start("off");
    const certificate = await newCertificate();
    const { session } = await beatInSession({ ...listener, certificate, maxVersion });
    expect(await beatInSession({ ...listener, certificate, session, maxVersion })).toMatchObject({
      isResumed: false,
      status: 200,
    });
  });
});

test("a listener changes keys while it serves; a ticket of the earlier key leads to a full handshake, and to a new one", async () => {
  vi.useFakeTimers({ toFake: ["setInterval"] });
  try {
    let nowMs = 1_000 * ticketPeriodMs;
    const secret = createTicketSecret(nowMs);
    await using listener = await start(createTicketKeys(secret, () => nowMs));
    const certificate = await newCertificate();
    const { session } = await beatInSession({ ...listener, certificate });
    vi.advanceTimersByTime(60_000);
    expect(await beatInSession({ ...listener, certificate, session })).toMatchObject({ isResumed: true });
    nowMs += ticketPeriodMs;
    vi.advanceTimersByTime(60_000);
    const after = await beatInSession({ ...listener, certificate, session });
    expect(after).toMatchObject({ isResumed: false, status: 200 });
    expect(await beatInSession({ ...listener, certificate, session: after.session })).toMatchObject({
      isResumed: true,
    });
  } finally {
    vi.useRealTimers();
  }
});
