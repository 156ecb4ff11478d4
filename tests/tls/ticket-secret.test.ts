/** Which keys a secret of session tickets leads to, when they change, and what a shared secret must look like. */
import { randomBytes } from "node:crypto";
import { chmod, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test, vi } from "vitest";
import {
  advanceTicketSecret,
  createTicketKeys,
  createTicketSecret,
  deriveTicketKey,
  loadTicketSecret,
  type TicketSecret,
  ticketPeriodMs,
} from "../../src/tls/ticket-secret.ts";
import { makeFolder } from "../support/program.ts";

const startMs = 20_000 * ticketPeriodMs;
const hex = (key: Buffer) => key.toString("hex");

describe("a server's own secret", () => {
  test("has one key for a period, and another for the next", () => {
    const { getKey } = createTicketKeys(createTicketSecret(startMs), () => nowMs);
    let nowMs = startMs;
    const first = hex(getKey());
    expect(first).toHaveLength(2 * 48);
    nowMs = startMs + ticketPeriodMs - 1;
    expect(hex(getKey())).toBe(first);
    nowMs = startMs + ticketPeriodMs;
    const second = hex(getKey());
    expect(second).not.toBe(first);
  });

  test("changes keys by a clock that nobody sets", () => {
    vi.useFakeTimers({ toFake: ["Date"] });
    try {
      const { getKey } = createTicketKeys(createTicketSecret());
      const first = hex(getKey());
      for (const days of [40, -40]) {
        vi.setSystemTime(Date.now() + days * ticketPeriodMs);
        expect(hex(getKey())).toBe(first);
      }
    } finally {
      vi.useRealTimers();
    }
  });

  test("leads to the same keys in every process, whenever that begins", () => {
    const secret = createTicketSecret(startMs);
    const laterMs = startMs + 5 * ticketPeriodMs;
    const handedOn = advanceTicketSecret(secret, startMs + 2 * ticketPeriodMs);
    expect(hex(deriveTicketKey(handedOn, laterMs))).toBe(hex(deriveTicketKey(secret, laterMs)));
  });

  test("does not lead to earlier keys", () => {
    const secret = createTicketSecret(startMs);
    const later = advanceTicketSecret(secret, startMs + ticketPeriodMs);
    expect(later.secret).not.toBe(secret.secret);
    expect(hex(deriveTicketKey(later, startMs))).not.toBe(hex(deriveTicketKey(secret, startMs)));
  });

  test("is another one each time", () => {
    expect(createTicketSecret(startMs).secret).not.toBe(createTicketSecret(startMs).secret);
  });
});

describe("a shared secret", () => {
  async function load(text: string | Buffer) {
    const file = join(await makeFolder(), "tickets.secret");
    await writeFile(file, text);
    return { file, loaded: loadTicketSecret(file) };
  }

  test("leads every server to the same key, which changes with the period", async () => {
    const text = randomBytes(48).toString("base64");
    const loaded = await Promise.all([text, `${text}\n`].map(async (each) => (await load(each)).loaded));
    const [one, other] = loaded.map(({ ticketSecret }) => ticketSecret) as [TicketSecret, TicketSecret];
    const key = hex(deriveTicketKey(one, startMs));
    expect(hex(deriveTicketKey(other, startMs + ticketPeriodMs - 1))).toBe(key);
    expect(hex(deriveTicketKey(other, startMs + ticketPeriodMs))).not.toBe(key);
    expect(advanceTicketSecret(one, startMs)).toEqual(one);
  });

  test.each([
    ["too short", randomBytes(31).toString("base64")],
    ["empty", ""],
    ["not base64", "correct horse battery staple! correct horse battery staple!"],
    ["binary", randomBytes(64)],
  ])("is refused if it is %s, without being shown", async (_what, text) => {
    const { file, loaded } = await load(text);
    await expect(loaded).rejects.toThrow(
      `${file}: expected 32 random bytes or more in base64, as "openssl rand -base64 48" prints them`,
    );
  });

  test.runIf(process.platform !== "win32").each([
    [0o640, 0],
    [0o644, 1],
  ])("in a file of mode %o leads to %i warnings", async (mode, warnings) => {
    const file = join(await makeFolder(), "tickets.secret");
    await writeFile(file, randomBytes(48).toString("base64"));
    await chmod(file, mode);
    expect((await loadTicketSecret(file)).warnings).toHaveLength(warnings);
  });

  test("is refused if there is none", async () => {
    const file = join(await makeFolder(), "none");
    await expect(loadTicketSecret(file)).rejects.toThrow(`${file}: cannot be read (ENOENT)`);
  });
});
