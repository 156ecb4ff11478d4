/**
 * Issues client certificates of the fleet from the benchmark's own CA. bmaas accepts any certificate, but grpc-js
 * requires one of a known CA.
 */
import { createHash, createPublicKey } from "node:crypto";
import { createSimulatedIdentity, type SimulatedIdentity } from "../../src/simulate/fleet-identities.ts";
import { caExtensions, issueCertificate, noExpiry } from "../../src/tls/issue-certificate.ts";

const name = "bmaas benchmark CA";
const notBefore = new Date("2020-01-01T00:00:00Z");
const { privateKey } = createSimulatedIdentity(createHash("sha256").update(name).digest(), 0);

/**
 * Returns a certificate of the CA as PEM. Each call issues a different one with the same name and key, so any of them
 * will do.
 */
export function issueClientCa(): string {
  const publicKey = createPublicKey(privateKey);
  const contents = { subject: name, publicKey, notBefore, notAfter: noExpiry, extensions: caExtensions(publicKey) };
  return issueCertificate(contents, { name, privateKey }).toString();
}

/** Issues the client certificate of a machine's agent, and returns it with its key as PEM. */
export function issueClientCertificate(identity: SimulatedIdentity): { cert: string; key: string } {
  const publicKey = createPublicKey(identity.privateKey);
  const contents = { subject: "agent", publicKey, notBefore, notAfter: noExpiry, extensions: [] };
  return {
    cert: issueCertificate(contents, { name, privateKey }).toString(),
    key: identity.privateKey.export({ format: "pem", type: "pkcs8" }).toString(),
  };
}
