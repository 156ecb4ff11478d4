import { generateKeyPairSync, type KeyPairKeyObjectResult } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ConfigError } from "../../src/config/config.ts";
import { issueCertificate, serverExtensions } from "../../src/tls/issue-certificate.ts";
import { loadOperatorCertificate } from "../../src/tls/operator-certificate.ts";

const directory = mkdtempSync(join(tmpdir(), "bmaas-operator-"));
const path = (name: string) => join(directory, name);

const day = 86_400_000;
const issuer = { name: "CA", privateKey: newEcKeys().privateKey };

function newEcKeys(): KeyPairKeyObjectResult {
  return generateKeyPairSync("ec", { namedCurve: "P-256" });
}

function makeCertificate(name: string, { publicKey, privateKey }: KeyPairKeyObjectResult): void {
  const certificate = issueCertificate(
    {
      subject: name,
      publicKey,
      notBefore: new Date(Date.now() - day),
      notAfter: new Date(Date.now() + 30 * day),
      extensions: name === "nameless" ? [] : serverExtensions(publicKey, issuer, ["agents.example"]),
    },
    issuer,
  );
  writeFileSync(path(`${name}.pem`), certificate.toString());
  writeFileSync(path(`${name}.key`), privateKey.export({ type: "pkcs8", format: "pem" }), { mode: 0o600 });
}

beforeAll(() => {
  makeCertificate("ec", newEcKeys());
  makeCertificate("other", newEcKeys());
  makeCertificate("nameless", newEcKeys());
  makeCertificate("rsa", generateKeyPairSync("rsa", { modulusLength: 2048 }));
  makeCertificate("short", generateKeyPairSync("rsa", { modulusLength: 1024 }));
  makeCertificate("ed25519", generateKeyPairSync("ed25519"));
  const { privateKey } = newEcKeys();
  const encrypted = privateKey.export({ type: "pkcs8", format: "pem", cipher: "aes-256-cbc", passphrase: "hunter2" });
  writeFileSync(path("encrypted.key"), encrypted);
  writeFileSync(path("text"), "hello\n");
  writeFileSync(path("damaged.pem"), "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
  const [ec, other] = [readFileSync(path("ec.pem"), "utf8"), readFileSync(path("other.pem"), "utf8")];
  writeFileSync(path("chain.pem"), `${ec}${other}`);
  writeFileSync(path("reversed.pem"), `${other}${ec}`);
  mkdirSync(path("directory"));
});
afterAll(() => rmSync(directory, { recursive: true }));

async function mistakesOf(certName: string, keyName: string): Promise<readonly string[]> {
  try {
    await loadOperatorCertificate({ certFile: path(certName), keyFile: path(keyName) });
  } catch (error) {
    if (error instanceof ConfigError) return error.mistakes;
    throw error;
  }
  return [];
}

describe("a certificate and its key", () => {
  test.each(["ec", "rsa"])("are handed over as they stand (%s)", async (name) => {
    const files = { certFile: path(`${name}.pem`), keyFile: path(`${name}.key`) };
    expect(await loadOperatorCertificate(files)).toEqual({
      cert: readFileSync(files.certFile, "utf8"),
      key: readFileSync(files.keyFile, "utf8"),
      warnings: [],
    });
  });

  test("may come with the certificates above it", async () => {
    expect(await mistakesOf("chain.pem", "ec.key")).toEqual([]);
  });

  test.each([
    [40, /ec\.pem: the certificate expired on 20\d\d-/],
    [-2, /ec\.pem: the certificate is not valid before 20\d\d-/],
  ])("are served %i days from now as well, with a warning", async (days, warning) => {
    const files = { certFile: path("ec.pem"), keyFile: path("ec.key") };
    const { warnings } = await loadOperatorCertificate(files, new Date(Date.now() + days * day));
    expect(warnings).toEqual([expect.stringMatching(warning)]);
  });
});

test("a certificate without a subject alternative name is served with a warning", async () => {
  const files = { certFile: path("nameless.pem"), keyFile: path("nameless.key") };
  const { warnings } = await loadOperatorCertificate(files);
  expect(warnings).toEqual([expect.stringContaining("no subject alternative name")]);
});

test.runIf(process.platform !== "win32")("a key that all users can read is served with a warning", async () => {
  const keyFile = path("open.key");
  writeFileSync(keyFile, readFileSync(path("ec.key")), { mode: 0o644 });
  const { warnings } = await loadOperatorCertificate({ certFile: path("ec.pem"), keyFile });
  expect(warnings).toEqual([`${keyFile} holds a private key that other users can reach: run chmod o= ${keyFile}`]);
});

describe("a mistake in them", () => {
  test.each([
    ["missing.pem", "ec.key", ["missing.pem: no such file"]],
    ["ec.pem", "missing.key", ["missing.key: no such file"]],
    ["missing.pem", "text", ["missing.pem: no such file", "text: no private key in PEM"]],
    ["directory", "ec.key", ["directory: is a directory"]],
    ["text", "ec.key", ["text: no certificate in PEM"]],
    ["damaged.pem", "ec.key", ["damaged.pem: no certificate in PEM"]],
    ["ec.key", "ec.pem", ["ec.key: no certificate in PEM", "ec.pem: no private key in PEM"]],
    ["ec.pem", "encrypted.key", ["encrypted.key: the key is encrypted"]],
    ["ec.pem", "other.key", ["other.key: not the key of the certificate in "]],
    ["reversed.pem", "ec.key", ["reversed.pem: the server's own certificate must be the first one, it is number 2"]],
    ["ed25519.pem", "ed25519.key", ["ed25519.key: browsers and many agents refuse Ed25519"]],
    ["short.pem", "short.key", ["short.pem: OpenSSL refuses it"]],
  ])("is said of %s and %s", async (certName, keyName, expected) => {
    const mistakes = await mistakesOf(certName, keyName);
    expect(mistakes).toEqual(expected.map((line) => expect.stringContaining(join(directory, line))));
  });

  test("never shows the key", async () => {
    const key = readFileSync(path("other.key"), "utf8").split("\n")[1] ?? "";
    expect(key.length).toBeGreaterThan(40);
    expect((await mistakesOf("ec.pem", "other.key")).join()).not.toContain(key);
  });
});
