/** Client certificates of the fleet, from a CA of the benchmark's own: bmaas asks for none, but grpc-js insists on one that it knows. */
import { createHash, createPublicKey } from "node:crypto";
import { createSimulatedIdentity, type SimulatedIdentity } from "../../src/simulate/fleet-identities.ts";
import { caExtensions, issueCertificate, noExpiry } from "../../src/tls/issue-certificate.ts";

const name = "bmaas benchmark CA";
const notBefore = new Date("2020-01-01T00:00:00Z");
const { privateKey } = createSimulatedIdentity(createHash("sha256").update(name).digest(), 0);

/** The CA's certificate, PEM; another one each time, with the same name and key, so that any will do. */
export function issueClientCa(): string {
  const publicKey = createPublicKey(privateKey);
  const contents = { subject: name, publicKey, notBefore, notAfter: noExpiry, extensions: caExtensions(publicKey) };
  return issueCertificate(contents, { name, privateKey }).toString();
}

/** What a machine's agent opens TLS with, PEM. */
export function issueClientCertificate(identity: SimulatedIdentity): { cert: string; key: string } {
  const publicKey = createPublicKey(identity.privateKey);
  const contents = { subject: "agent", publicKey, notBefore, notAfter: noExpiry, extensions: [] };
  return {
    cert: issueCertificate(contents, { name, privateKey }).toString(),
    key: identity.privateKey.export({ format: "pem", type: "pkcs8" }).toString(),
  };
}
