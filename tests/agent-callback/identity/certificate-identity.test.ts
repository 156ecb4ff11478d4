/** What a client certificate proves, beyond the certificates that an ordinary TLS client can be made to show. */
import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync } from "node:crypto";
import type { TLSSocket } from "node:tls";
import { describe, expect, test } from "vitest";
import { generateAgentKey } from "../../../src/agent/agent-key.ts";
import { IdentityRefusedError } from "../../../src/agent-callback/identity/agent-identity.ts";
import { findCertificateIdentity } from "../../../src/agent-callback/identity/certificate-identity.ts";
import { issueCertificate, noExpiry } from "../../../src/tls/issue-certificate.ts";

const spkiPrefix = "302a300506032b6570032100";

/**
 * A connection whose client showed a certificate for `publicKey`, signed by another key: a small-order one has no
 * private half.
 */
function connectionWith(publicKey: string) {
  const certificate = issueCertificate(
    {
      subject: "",
      publicKey: createPublicKey({ key: Buffer.from(spkiPrefix + publicKey, "hex"), format: "der", type: "spki" }),
      notBefore: new Date(),
      notAfter: noExpiry,
      extensions: [],
    },
    { name: "", privateKey: generateKeyPairSync("ed25519").privateKey },
  );
  let reads = 0;
  const getPeerX509Certificate = () => {
    reads++;
    return certificate;
  };
  const socket = { getPeerX509Certificate, remoteAddress: "192.0.2.1" } as unknown as TLSSocket;
  const certificateHash = createHash("sha256").update(certificate.raw).digest();
  return { connection: {}, socket, certificateHash, countReads: () => reads };
}

const p = `ed${"ff".repeat(30)}7f`;

describe("a client certificate's key is refused when it is", () => {
  test.each([
    ["the neutral element", `01${"00".repeat(31)}`],
    ["of order 2", `ec${"ff".repeat(30)}7f`],
    ["of order 4", "00".repeat(32)],
    ["of order 4 with the other sign", `${"00".repeat(31)}80`],
    ["of order 8", "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"],
    ["of order 8 with the other sign", "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa"],
    ["of order 8, inverted", "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"],
    ["zero written as the field's prime", p],
    ["one written as the prime and one", `ee${"ff".repeat(30)}7f`],
    ["the neutral element with a sign that zero has not", `01${"00".repeat(30)}80`],
    ["no point at all", `02${"00".repeat(31)}`],
  ])("%s", (_what, publicKey) => {
    const { connection, socket, countReads } = connectionWith(publicKey);
    // As often as the connection asks, and read once.
    for (let time = 0; time < 2; time++) {
      expect(() => findCertificateIdentity(connection, socket)).toThrow(IdentityRefusedError);
      expect(() => findCertificateIdentity(connection, socket)).toThrow(/the client certificate's key is not accepted/);
    }
    expect(countReads()).toBe(1);
  });
});

test("the refusal carries the key for the log", () => {
  const { connection, socket } = connectionWith("00".repeat(32));
  try {
    findCertificateIdentity(connection, socket);
    expect.unreachable();
  } catch (error) {
    expect(Buffer.from((error as IdentityRefusedError).publicKey ?? []).toString("hex")).toBe("00".repeat(32));
  }
});

test("a sound key is the identity, read once for a connection and anew for the next", async () => {
  const key = await generateAgentKey();
  const first = connectionWith(key.publicKeyHex);
  for (let time = 0; time < 3; time++) {
    expect(findCertificateIdentity(first.connection, first.socket)).toEqual({
      publicKey: key.publicKey,
      remoteAddress: "192.0.2.1",
      process: first.certificateHash,
    });
  }
  expect(first.countReads()).toBe(1);
  const other = await generateAgentKey();
  const second = connectionWith(other.publicKeyHex);
  expect(findCertificateIdentity(second.connection, second.socket)?.publicKey).toEqual(other.publicKey);
});

test("a connection without a certificate has no identity", () => {
  const socket = { getPeerX509Certificate: () => undefined } as unknown as TLSSocket;
  expect(findCertificateIdentity({}, socket)).toBeUndefined();
});

test.each(["ed448", "x25519"] as const)("a certificate of an %s key is refused", (type) => {
  const { publicKey } = type === "ed448" ? generateKeyPairSync("ed448") : generateKeyPairSync("x25519");
  const { privateKey } = generateKeyPairSync("ed25519");
  const template = { subject: "", publicKey, notBefore: new Date(), notAfter: noExpiry, extensions: [] };
  const certificate = issueCertificate(template, {
    name: "",
    privateKey: createPrivateKey(privateKey.export({ type: "pkcs8", format: "pem" })),
  });
  const socket = { getPeerX509Certificate: () => certificate } as unknown as TLSSocket;
  expect(() => findCertificateIdentity({}, socket)).toThrow("not an Ed25519 key");
});
