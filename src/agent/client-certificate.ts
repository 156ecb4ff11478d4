/** The ephemeral certificate by which an agent shows its key in a TLS handshake. */
import { createPrivateKey, createPublicKey } from "node:crypto";
import { issueCertificate, noExpiry } from "../tls/issue-certificate.ts";
import type { AgentKey } from "./agent-key.ts";

/** Certificate and private key, both PEM, as node:tls takes them. */
export interface ClientCertificate {
  readonly cert: string;
  readonly key: string;
}

/**
 * Makes a self-signed certificate without a name, valid from now on and without an expiry (99991231235959Z, RFC 5280 section
 * 4.1.2.5): it carries the public key and says nothing else.
 */
export function createClientCertificate(agentKey: AgentKey): ClientCertificate {
  const key = agentKey.exportPem();
  const privateKey = createPrivateKey(key);
  const certificate = issueCertificate(
    {
      subject: "",
      publicKey: createPublicKey(privateKey),
      notBefore: new Date(),
      notAfter: noExpiry,
      extensions: [],
    },
    { name: "", privateKey },
  );
  return { cert: certificate.toString(), key };
}
