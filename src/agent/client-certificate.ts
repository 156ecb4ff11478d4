/** The ephemeral certificate by which an agent shows its key in a TLS handshake. */
import { createPrivateKey, createPublicKey } from "node:crypto";
import { issueCertificate, noExpiry } from "../tls/issue-certificate.ts";
import type { AgentKey } from "./agent-key.ts";

/** Certificate and private key, both PEM, as node:tls takes them. */
export interface ClientCertificate {
  readonly cert: string;
  readonly key: string;
}

/** The name in every agent's certificate. Java reads none whose issuer is empty, which RFC 5280 section 4.1.2.4 forbids. */
const name = "bmaas agent";

/**
 * Makes a self-signed certificate, valid from now on and without an expiry (99991231235959Z, RFC 5280 section 4.1.2.5): it carries
 * the public key, and a name that is the same for all agents.
 */
export function createClientCertificate(agentKey: AgentKey): ClientCertificate {
  const key = agentKey.exportPem();
  const privateKey = createPrivateKey(key);
  const certificate = issueCertificate(
    {
      subject: name,
      publicKey: createPublicKey(privateKey),
      notBefore: new Date(),
      notAfter: noExpiry,
      extensions: [],
    },
    { name, privateKey },
  );
  return { cert: certificate.toString(), key };
}
