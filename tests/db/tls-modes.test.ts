/** What each TLS mode of DATABASE_URL does, against a PostgreSQL without TLS and with each kind of certificate. */
import { generateKeyPairSync } from "node:crypto";
import { appendFile, chmod, chown, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import pg from "pg";
import { pino } from "pino";
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from "vitest";
import { settleTlsMode } from "../../src/config/database-url.ts";
import { connectionConfig } from "../../src/db/client.ts";
import { type EmbeddedPostgres, startEmbeddedPostgres } from "../../src/db/embedded/embedded-postgres.ts";
import { checkSchema } from "../../src/db/migrate.ts";
import { caExtensions, issueCertificate, serverExtensions } from "../../src/tls/issue-certificate.ts";
import { makeTestFolder, query } from "../support/embedded-owner.ts";
import { waitUntil } from "../support/wait.ts";

type Outcome = "TLS" | "plaintext" | "refused";

let embedded: EmbeddedPostgres;
let dataFolder: string;
let caFile: string;
const lifetime = { notBefore: new Date(Date.now() - 60_000), notAfter: new Date(Date.now() + 3_600_000) };
const trusted = makeCa("trusted");
const strange = makeCa("strange");

beforeAll(async () => {
  const folder = await makeTestFolder();
  caFile = join(folder, "ca.pem");
  await writeFile(caFile, trusted.pem);
  const log = pino({ level: "silent" });
  embedded = await startEmbeddedPostgres({ home: join(folder, "home"), log, durable: false, purpose: "a test" });
  const [row] = await query(embedded.url, "show data_directory");
  dataFolder = String(row?.data_directory);
});
afterAll(async () => {
  await embedded?.stop();
});

function makeCa(name: string) {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const issuer = { name, privateKey };
  const extensions = caExtensions(publicKey);
  return { issuer, pem: issueCertificate({ subject: name, publicKey, ...lifetime, extensions }, issuer).toString() };
}

/** Has PostgreSQL serve TLS to new connections, by a certificate of `ca` for `host`. */
async function serveTls({ issuer }: ReturnType<typeof makeCa>, host: string): Promise<void> {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const extensions = serverExtensions(publicKey, issuer, [host]);
  const certificate = issueCertificate({ subject: "", publicKey, ...lifetime, extensions }, issuer);
  const owner = await stat(dataFolder);
  const files = {
    "server.crt": certificate.toString(),
    "server.key": privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
  };
  for (const [name, content] of Object.entries(files)) {
    const file = join(dataFolder, name);
    await writeFile(file, content);
    await chmod(file, 0o600);
    await chown(file, owner.uid, owner.gid);
  }
  // PostgreSQL tells when it has read its files.
  const marker = `bmaas.certificate = '${certificate.fingerprint256}'`;
  await appendFile(join(dataFolder, "postgresql.conf"), `\nssl = on\n${marker}\n`);
  const [postmaster] = (await readFile(join(dataFolder, "postmaster.pid"), "utf8")).split("\n");
  process.kill(Number(postmaster), "SIGHUP");
  await waitUntil("PostgreSQL has read its files", async () => {
    const [row] = await query(embedded.url, "select current_setting('bmaas.certificate', true) as value");
    return row?.value === certificate.fingerprint256;
  });
}

function urlWith(parameters: string): string {
  const { username, password, host, pathname } = new URL(embedded.url);
  const named = parameters.replace("CA", `sslrootcert=${encodeURIComponent(caFile)}`);
  return settleTlsMode(`postgres://${username}:${password}@${host}${pathname}?${named}`, undefined).url;
}

async function connect(parameters: string): Promise<Outcome> {
  const client = new pg.Client(connectionConfig(urlWith(parameters), "test"));
  client.on("error", () => {});
  try {
    await client.connect();
    const { rows } = await client.query("select ssl from pg_stat_ssl where pid = pg_backend_pid()");
    return rows[0].ssl ? "TLS" : "plaintext";
  } catch {
    return "refused";
  } finally {
    await client.end().catch(() => {});
  }
}

test("the server's own PostgreSQL has no TLS, whatever PGSSLMODE says of others", async () => {
  vi.stubEnv("PGSSLMODE", "require");
  onTestFinished(() => void vi.unstubAllEnvs());
  expect(await query(embedded.url, "select 1 as one")).toEqual([{ one: 1 }]);
});

const modes = {
  never: ["", "sslmode=disable", "sslmode=disable&CA", "ssl=false", "ssl=0"],
  always: ["sslmode=no-verify", "ssl=no-verify", ...["allow", "prefer", "require"].map(asLibpq)],
  "with a certificate of the CA": [`${asLibpq("require")}&CA`, `${asLibpq("verify-ca")}&CA`],
  "with a certificate of the CA for the host": [
    ...["allow", "prefer", "require", "verify-ca", "verify-full"].map((mode) => `sslmode=${mode}&CA`),
    `${asLibpq("verify-full")}&CA`,
    "ssl=true&CA",
    "ssl=1&CA",
    "CA",
    "sslnegotiation=direct&CA",
  ],
  "with a certificate of a public CA": ["prefer", "require", "verify-ca", "verify-full"].map(
    (mode) => `sslmode=${mode}`,
  ),
};
type Wanted = keyof typeof modes;

function asLibpq(mode: string): string {
  return `uselibpqcompat=true&sslmode=${mode}`;
}

/** By what a mode wants, what comes of it; whoever wants no TLS has plaintext everywhere. */
const outcomes: [what: string, serve: () => Promise<void>, withTls: Wanted[]][] = [
  ["no TLS", async () => {}, []],
  ["a certificate of another CA", () => serveTls(strange, "127.0.0.1"), ["always"]],
  ["a certificate for another host", () => serveTls(trusted, "db.example"), ["always", "with a certificate of the CA"]],
  [
    "a certificate that fits",
    () => serveTls(trusted, "127.0.0.1"),
    ["always", "with a certificate of the CA", "with a certificate of the CA for the host"],
  ],
];

describe.each(outcomes)("PostgreSQL with %s", (_what, serve, withTls) => {
  beforeAll(serve);
  const cases = Object.entries(modes).flatMap(([wanted, list]) =>
    list.map((mode) => [mode, wanted as Wanted] as const),
  );

  test.each(cases)("%j means TLS %s", async (mode, wanted) => {
    const expected = wanted === "never" ? "plaintext" : withTls.includes(wanted) ? "TLS" : "refused";
    expect(await connect(mode)).toBe(expected);
  });
});

test("a server that does not trust the database's certificate says what to write", async () => {
  await serveTls(strange, "127.0.0.1");
  for (const parameters of ["sslmode=require", "sslmode=verify-full&CA"]) {
    await expect(checkSchema(urlWith(parameters))).rejects.toThrow(
      /certificate is not from a CA that the server trusts: add sslrootcert, .* to DATABASE_URL, or write sslmode=no-/,
    );
  }
});
