import { execFile, spawnSync } from "node:child_process";
import { createPrivateKey, X509Certificate } from "node:crypto";
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { createServer, get } from "node:https";
import type { AddressInfo } from "node:net";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type DevelopmentTls, ensureDevelopmentTls } from "../../src/tls/development-ca.ts";

const run = promisify(execFile);
const hasOpenssl = spawnSync("openssl", ["version"]).status === 0;
const day = 86_400_000;
const now = new Date("2026-03-01T12:00:00Z");
const later = (days: number) => new Date(now.getTime() + days * day);

let home: string;
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), "bmaas-tls-"));
});
afterEach(async () => {
  await rm(home, { recursive: true });
});

function parse({ ca, cert }: DevelopmentTls) {
  return { ca: new X509Certificate(ca), leaf: new X509Certificate(cert) };
}

describe("the first start", () => {
  test.skipIf(!hasOpenssl)("makes a CA and a server certificate that OpenSSL's strict rules accept", async () => {
    const made = await ensureDevelopmentTls(home, ["agents.example.org:8443", "[2001:db8::1]:8443"]);
    for (const name of ["localhost", "agents.example.org"]) {
      await verify(made, "-verify_hostname", name);
    }
    for (const address of ["127.0.0.1", "::1", "2001:db8::1"]) {
      await verify(made, "-verify_ip", address);
    }
    await expect(verify(made, "-verify_hostname", "other.example.org")).rejects.toThrow();
  });

  test("writes what browsers ask of a server certificate", async () => {
    const { ca, leaf } = parse(await ensureDevelopmentTls(home, [], now));
    expect(leaf.publicKey.asymmetricKeyDetails).toEqual({ namedCurve: "prime256v1" });
    expect(leaf.ca).toBe(false);
    expect(leaf.keyUsage).toEqual(["1.3.6.1.5.5.7.3.1"]);
    expect(leaf.subjectAltName).toContain(`DNS:${hostname()}`);
    expect(leaf.validToDate.getTime() - leaf.validFromDate.getTime()).toBeLessThanOrEqual(398 * day);
    expect(ca.ca).toBe(true);
    expect(leaf.checkIssued(ca)).toBe(true);
  });

  test.skipIf(!hasOpenssl)("limits both keys to their use, and links them by key identifier", async () => {
    const made = await ensureDevelopmentTls(home, [], now);
    const text = (await run("openssl", ["x509", "-in", made.certFile, "-noout", "-text"])).stdout;
    const caText = (await run("openssl", ["x509", "-in", made.caFile, "-noout", "-text"])).stdout;
    expect(text).toMatch(/Key Usage: critical\s+Digital Signature\n/);
    expect(caText).toMatch(/Basic Constraints: critical\s+CA:TRUE, pathlen:0\n/);
    expect(caText).toMatch(/Key Usage: critical\s+Certificate Sign, CRL Sign\n/);
    const identifier = /Subject Key Identifier:\s+(\S+)/.exec(caText)?.[1];
    expect(/Authority Key Identifier:\s+(\S+)/.exec(text)?.[1]).toBe(identifier);
  });

  test("lets a client that trusts the CA in, and no other", async () => {
    const { cert, key, ca } = await ensureDevelopmentTls(home, []);
    const server = createServer({ cert, key }, (_request, response) => response.end("ok"));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    try {
      const { port } = server.address() as AddressInfo;
      expect(await fetchStatus(`https://localhost:${port}/`, ca)).toBe(200);
      expect(await fetchStatus(`https://127.0.0.1:${port}/`, ca)).toBe(200);
      await expect(fetchStatus(`https://localhost:${port}/`, undefined)).rejects.toThrow(/certificate/);
    } finally {
      server.close();
    }
  });

  test("keeps the keys from other users", async () => {
    const { keyFile, key } = await ensureDevelopmentTls(home, [], now);
    expect((await stat(join(home, "tls"))).mode & 0o777).toBe(0o700);
    for (const file of [keyFile, join(home, "tls", "ca.key")]) expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect(await readFile(keyFile, "utf8")).toBe(key);
  });

  test("closes a directory that was open to other users", async () => {
    await mkdir(join(home, "tls"), { mode: 0o755 });
    await ensureDevelopmentTls(home, [], now);
    expect((await stat(join(home, "tls"))).mode & 0o777).toBe(0o700);
  });
});

describe("a later start", () => {
  test("changes nothing while the certificate will do", async () => {
    const first = await ensureDevelopmentTls(home, ["agents.example.org", "my_host"], now);
    expect(await ensureDevelopmentTls(home, ["AGENTS.example.org.:8443", "my_host"], later(300))).toEqual(first);
  });

  test("adds a name by a new certificate of the same CA and key", async () => {
    const first = await ensureDevelopmentTls(home, [], now);
    const second = await ensureDevelopmentTls(home, ["10.1.2.3:8443"], now);
    expect(parse(second).leaf.checkIP("10.1.2.3")).toBe("10.1.2.3");
    expect(second).toMatchObject({ ca: first.ca, key: first.key });
  });

  test("renews a certificate that has less than 30 days left, and keeps the CA", async () => {
    const first = await ensureDevelopmentTls(home, [], now);
    const second = await ensureDevelopmentTls(home, [], later(370));
    expect(second.ca).toBe(first.ca);
    expect(second.cert).not.toBe(first.cert);
    expect(parse(second).leaf.validToDate.getTime()).toBeGreaterThan(later(700).getTime());
  });

  test("renews the CA's certificate at its end with the same key, so that both chains hold", async () => {
    const first = parse(await ensureDevelopmentTls(home, [], now));
    const second = parse(await ensureDevelopmentTls(home, [], later(3640)));
    expect(second.ca.raw).not.toEqual(first.ca.raw);
    expect(second.ca.subject).toBe(first.ca.subject);
    expect(first.leaf.verify(second.ca.publicKey)).toBe(true);
  });

  test.each(["ca.pem", "server.pem"])("replaces a %s that is damaged", async (name) => {
    await ensureDevelopmentTls(home, [], now);
    await writeFile(join(home, "tls", name), "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    const { ca, leaf } = parse(await ensureDevelopmentTls(home, [], now));
    expect(leaf.verify(ca.publicKey)).toBe(true);
  });

  test.each(["ca.key", "server.key"])("makes certificates for a new %s", async (name) => {
    await ensureDevelopmentTls(home, [], now);
    await rm(join(home, "tls", name));
    const tls = await ensureDevelopmentTls(home, [], now);
    const { ca, leaf } = parse(tls);
    expect(leaf.verify(ca.publicKey)).toBe(true);
    expect(leaf.checkPrivateKey(createPrivateKey(tls.key))).toBe(true);
  });

  test("names a key file that holds no key, and overwrites nothing", async () => {
    const { keyFile } = await ensureDevelopmentTls(home, [], now);
    await writeFile(keyFile, "nonsense");
    await expect(ensureDevelopmentTls(home, [], now)).rejects.toThrow(`${keyFile}: not a private key in PEM`);
    expect(await readFile(keyFile, "utf8")).toBe("nonsense");
  });
});

test("several processes on a fresh home end with one CA, and each with a certificate that fits its key", async () => {
  const module = new URL("../../src/tls/development-ca.ts", import.meta.url);
  const script = `const { ensureDevelopmentTls } = await import(${JSON.stringify(module.href)});
    process.stdin.once("data", async () => {
      process.stdout.write(JSON.stringify(await ensureDevelopmentTls(${JSON.stringify(home)}, [process.argv[1]])));
      process.exit();
    });
    process.stderr.write("ready");`;
  const starts = Array.from({ length: 4 }, (_, index) => {
    const child = execFile(process.execPath, ["--input-type=module", "-e", script, `host-${index % 2}.example`]);
    let output = "";
    child.stdout?.on("data", (chunk) => {
      output += chunk;
    });
    const ready = new Promise((resolve) => child.stderr?.once("data", resolve));
    const ended = new Promise<DevelopmentTls>((resolve) => child.once("close", () => resolve(JSON.parse(output))));
    return { child, ready, ended };
  });
  await Promise.all(starts.map(({ ready }) => ready));
  for (const { child } of starts) child.stdin?.write("go\n");
  const results = await Promise.all(starts.map(({ ended }) => ended));

  expect(new Set(results.map(({ ca }) => ca)).size).toBe(1);
  expect(new Set(results.map(({ key }) => key)).size).toBe(1);
  for (const [index, result] of results.entries()) {
    const { ca, leaf } = parse(result);
    expect(leaf.verify(ca.publicKey)).toBe(true);
    expect(leaf.checkHost(`host-${index % 2}.example`)).toBeDefined();
  }
  expect((await readdir(join(home, "tls"))).sort()).toEqual(["ca.key", "ca.pem", "server.key", "server.pem"]);
});

async function verify({ caFile, certFile }: DevelopmentTls, ...options: string[]): Promise<void> {
  await run("openssl", ["verify", "-x509_strict", "-purpose", "sslserver", ...options, "-CAfile", caFile, certFile]);
}

function fetchStatus(url: string, ca: string | undefined): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    get(url, { ...(ca === undefined ? {} : { ca }), agent: false }, (response) => {
      response.resume();
      resolve(response.statusCode);
    }).on("error", reject);
  });
}
