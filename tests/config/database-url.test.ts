/** A TLS mode that works otherwise than its name in libpq is said once, and one that is none is refused. */
import { describe, expect, test } from "vitest";
import { type Environment, loadConfig } from "../../src/config/config.ts";

const base = "postgres://bmaas:secret@db.example/bmaas";

/** The URL that the server uses, and what it says at start. */
function load(parameters: string, environment: Environment = {}) {
  const { databaseUrl = "", notes } = loadConfig({ DATABASE_URL: base + parameters, ...environment }, {}, "/srv");
  const { searchParams } = new URL(databaseUrl);
  return { mode: searchParams.get("sslmode"), ssl: searchParams.get("ssl"), notes, databaseUrl };
}

describe("a TLS mode", () => {
  test.each([
    ["?sslmode=disable", "disable"],
    ["?sslmode=verify-full", "verify-full"],
    ["?sslmode=no-verify", "no-verify"],
    ["?ssl=true", "verify-full"],
    ["?ssl=false", "disable"],
    ["?ssl=true&sslmode=disable", "disable"],
    ["?sslrootcert=ca.pem", "verify-full"],
    ["?uselibpqcompat=true&sslmode=require", "no-verify"],
    ["?uselibpqcompat=true&sslmode=verify-ca&sslrootcert=ca.pem", "verify-ca"],
  ])("%s works as its name says, and nothing is said", (parameters, mode) => {
    expect(load(parameters)).toMatchObject({ mode, ssl: null, notes: [] });
  });

  test.each([
    ["?sslmode=allow", "verify-full", 'sslmode="allow" works as verify-full here'],
    ["?sslmode=prefer", "verify-full", 'sslmode="prefer" works as verify-full here'],
    ["?sslmode=require", "verify-full", 'sslmode="require" works as verify-full here'],
    ["?sslmode=verify-ca", "verify-full", 'sslmode="verify-ca" works as verify-full here'],
    ["?uselibpqcompat=true&sslmode=prefer", "no-verify", 'sslmode="prefer" works as no-verify here: never without TLS'],
  ])("%s works as %s, which is said with what to write", (parameters, mode, said) => {
    const loaded = load(parameters);
    expect(loaded).toMatchObject({ mode, notes: [expect.stringContaining(`DATABASE_URL: ${said}`)] });
    expect(loaded.notes[0]).toContain(`Write sslmode=${mode}`);
    expect(loaded.notes.join()).not.toContain("secret");
  });

  test("comes from PGSSLMODE where the URL names none", () => {
    const said = expect.stringContaining('DATABASE_URL: sslmode="require" of PGSSLMODE works as verify-full here');
    expect(load("", { PGSSLMODE: "require" })).toMatchObject({ mode: "verify-full", notes: [said] });
    expect(load("?sslmode=disable", { PGSSLMODE: "require" })).toMatchObject({ mode: "disable", notes: [] });
  });

  test("that is missing is said unless the database is on this machine", () => {
    const { databaseUrl, notes } = load("");
    expect(databaseUrl).toBe(base);
    expect(notes).toEqual([expect.stringContaining("without sslmode, connections to db.example have no TLS")]);
    for (const host of ["127.0.0.1", "localhost", "[::1]", "%2Frun%2Fpostgresql"]) {
      expect(loadConfig({ DATABASE_URL: `postgres://u:p@${host}/d` }, {}, "/srv").notes).toEqual([]);
    }
    expect(loadConfig({ DATABASE_URL: "postgres:///d?host=/run/postgresql" }, {}, "/srv").notes).toEqual([]);
  });

  test.each([
    ["?sslmode=verify_full", 'sslmode="verify_full" is not one of'],
    ["?sslmode=", 'sslmode="" is not one of'],
    ["?ssl=off", 'ssl="off" is not one of true, false, no-verify'],
    ["?sslrootcert=system", "sslrootcert=system is not supported"],
    ["?uselibpqcompat=true&sslmode=verify-ca", "sslmode=verify-ca needs sslrootcert"],
    ["?channel_binding=require", 'channel_binding="require" is not supported'],
    ["?ssl_min_protocol_version=TLSv1.3", 'ssl_min_protocol_version="TLSv1.3" is not supported'],
    ["?sslcrl=revoked.pem", 'sslcrl="revoked.pem" is not supported'],
  ])("%s, which would be weaker than what it asks for, is refused", (parameters, said) => {
    expect(() => load(parameters)).toThrow(`DATABASE_URL: ${said}`);
  });

  test("that PGSSLMODE misspells is refused", () => {
    expect(() => load("", { PGSSLMODE: "verify_full" })).toThrow(
      'DATABASE_URL: sslmode="verify_full" of PGSSLMODE is not one of',
    );
  });
});
