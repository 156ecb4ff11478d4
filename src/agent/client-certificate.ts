/** The ephemeral certificate by which an agent presents its key in a TLS handshake. */
import { createPrivateKey, createPublicKey } from "node:crypto";
import { issueCertificate, noExpiry } from "../tls/issue-certificate.ts";
import type { AgentKey } from "./agent-key.ts";

/** Certificate and private key as PEM, for node:tls. */
export interface ClientCertificate {
  readonly cert: string;
  readonly key: string;
}

/**
 * The name in every agent's certificate. RFC 5280 section 4.1.2.4 forbids an empty issuer, and Java cannot parse one.
 */
const name = "bmaas agent";

/**
 * Creates a self-signed certificate with the public key. It is valid from now on without an expiry (99991231235959Z,
 * RFC 5280 section 4.1.2.5), and its name is the same for all agents.
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
