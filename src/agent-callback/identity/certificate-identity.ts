/** Identifies agents by TLS: the handshake proved possession of the private key of the client certificate. */
import { createHash, type X509Certificate } from "node:crypto";
import type { TLSSocket } from "node:tls";
import { assertPublicKey, InvalidPublicKeyError } from "../../contract/public-key.ts";
import { findPeerAddress } from "../../rpc/connections/peer-address.ts";
import { type AgentIdentity, IdentityRefusedError } from "./agent-identity.ts";

type CertificateIdentity = AgentIdentity | IdentityRefusedError | undefined;

/**
 * Identities by connection, since reading and checking a certificate costs more than the rest of a heartbeat. A
 * connection's certificate never changes.
 */
const identities = new WeakMap<object, CertificateIdentity>();

/**
 * Returns the identity of the connection's client certificate, or undefined without one. The certificate is
 * self-signed, so its issuer and its dates, which come from the agent's own clock, are not checked. Throws
 * IdentityRefusedError for a key that is not a valid Ed25519 key. `connection` is the object that identifies the
 * connection in all its requests: the HTTP/2 session or the socket. Call it before anything is awaited, since a closed
 * connection has no certificate.
 */
export function findCertificateIdentity(connection: object, socket: TLSSocket): AgentIdentity | undefined {
  if (!identities.has(connection)) identities.set(connection, readIdentity(socket));
  const identity = identities.get(connection);
  if (identity instanceof IdentityRefusedError) throw identity;
  return identity;
}

function readIdentity(socket: TLSSocket): CertificateIdentity {
  const certificate = socket.getPeerX509Certificate();
  if (certificate === undefined) return undefined;
  const publicKey = exportRawKey(certificate);
  if (publicKey === undefined)
    return new IdentityRefusedError("certificate", "the client certificate's key is not an Ed25519 key");
  try {
    assertPublicKey(publicKey);
    const process = createHash("sha256").update(certificate.raw).digest();
    return { publicKey, remoteAddress: findPeerAddress(socket), process };
  } catch (error) {
    if (!(error instanceof InvalidPublicKeyError)) throw error;
    return new IdentityRefusedError("certificate", `the client certificate's key is not accepted: ${error.message}`, {
      publicKey,
    });
  }
}

/**
 * Returns the key's bytes, or undefined for another kind of key. They are read from a JWK (RFC 8037), which OpenSSL
 * exports seven times as fast as DER.
 */
function exportRawKey(certificate: X509Certificate): Uint8Array | undefined {
  const key = readPublicKey(certificate);
  if (key?.asymmetricKeyType !== "ed25519") return undefined;
  return new Uint8Array(Buffer.from(key.export({ format: "jwk" }).x ?? "", "base64url"));
}

/**
 * Returns the certificate's key, or undefined for an unknown kind: OpenSSL parses some keys only on access, and throws
 * then.
 */
function readPublicKey(certificate: X509Certificate) {
  try {
    return certificate.publicKey;
  } catch {
    return undefined;
  }
}
