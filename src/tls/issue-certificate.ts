/** Issues X.509 certificates (RFC 5280) for keys that this program generated. */
import { createHash, createPublicKey, type KeyObject, randomBytes, sign, X509Certificate } from "node:crypto";
import { isIP } from "node:net";
import * as der from "./der.ts";

/** Contents of a certificate. */
export interface CertificateTemplate {
  /** Common name of the subject; "" leaves the subject empty. */
  readonly subject: string;
  /** Ed25519 or ECDSA. */
  readonly publicKey: KeyObject;
  readonly notBefore: Date;
  readonly notAfter: Date;
  /** Encoded extensions, such as `caExtensions` returns. */
  readonly extensions: readonly Buffer[];
}

/** Issuer of a certificate. If its key is the certificate's own, the certificate is self-signed. */
export interface Issuer {
  readonly name: string;
  /** Ed25519 or ECDSA P-256. */
  readonly privateKey: KeyObject;
}

/** Latest time that a certificate can contain, which RFC 5280 section 4.1.2.5 reserves for "does not expire". */
export const noExpiry = new Date("9999-12-31T23:59:59Z");

/** Returns a signed certificate of version 3 with a random serial number of 126 bits. */
export function issueCertificate(template: CertificateTemplate, issuer: Issuer): X509Certificate {
  const ed25519 = issuer.privateKey.asymmetricKeyType === "ed25519";
  const algorithm = der.sequence(der.objectIdentifier(ed25519 ? "1.3.101.112" : "1.2.840.10045.4.3.2"));
  const serial = randomBytes(16);
  serial[0] = ((serial[0] ?? 0) & 0x3f) | 0x40;
  const body = der.sequence(
    der.explicitTag(0, der.integer(Buffer.of(2))),
    der.integer(serial),
    algorithm,
    distinguishedName(issuer.name),
    der.sequence(der.time(template.notBefore), der.time(template.notAfter)),
    distinguishedName(template.subject),
    template.publicKey.export({ type: "spki", format: "der" }),
    ...(template.extensions.length === 0 ? [] : [der.explicitTag(3, der.sequence(...template.extensions))]),
  );
  const signature = sign(ed25519 ? null : "sha256", body, issuer.privateKey);
  return new X509Certificate(der.sequence(body, algorithm, der.bitString(signature)));
}

/** Returns the extensions of a CA that issues only end-entity certificates (RFC 5280 section 4.2.1). */
export function caExtensions(publicKey: KeyObject): Buffer[] {
  return [
    extension("2.5.29.19", true, der.sequence(der.boolean(true), der.integer(Buffer.of(0)))), // basicConstraints
    extension("2.5.29.15", true, der.bitString(Buffer.of(0b0000_0110), 1)), // keyUsage: keyCertSign, cRLSign
    subjectKeyIdentifier(publicKey),
  ];
}

/** Returns the extensions of a TLS server's certificate for `names`, which are IP addresses and ASCII host names. */
export function serverExtensions(publicKey: KeyObject, issuer: Issuer, names: readonly string[]): Buffer[] {
  const issuerId = keyIdentifier(createPublicKey(issuer.privateKey));
  return [
    extension("2.5.29.19", true, der.sequence()), // basicConstraints: not a CA
    extension("2.5.29.15", true, der.bitString(Buffer.of(0b1000_0000), 7)), // keyUsage: digitalSignature
    extension("2.5.29.37", false, der.sequence(der.objectIdentifier("1.3.6.1.5.5.7.3.1"))), // extendedKeyUsage: serverAuth
    subjectKeyIdentifier(publicKey),
    extension("2.5.29.35", false, der.sequence(der.implicitTag(0, issuerId))), // authorityKeyIdentifier
    extension("2.5.29.17", false, der.sequence(...names.map(generalName))), // subjectAltName
  ];
}

function distinguishedName(commonName: string): Buffer {
  if (commonName === "") return der.sequence();
  return der.sequence(der.set(der.sequence(der.objectIdentifier("2.5.4.3"), der.utf8String(commonName))));
}

function extension(id: string, critical: boolean, value: Buffer): Buffer {
  return der.sequence(der.objectIdentifier(id), ...(critical ? [der.boolean(true)] : []), der.octetString(value));
}

function subjectKeyIdentifier(publicKey: KeyObject): Buffer {
  return extension("2.5.29.14", false, der.octetString(keyIdentifier(publicKey)));
}

/** Returns 160 bits of the SHA-256 of the key; RFC 5280 section 4.2.1.2 leaves the method to the issuer. */
function keyIdentifier(publicKey: KeyObject): Buffer {
  const spki = publicKey.export({ type: "spki", format: "der" });
  return createHash("sha256").update(spki).digest().subarray(0, 20);
}

function generalName(name: string): Buffer {
  const family = isIP(name);
  if (family === 0) return der.implicitTag(2, Buffer.from(name, "ascii"));
  return der.implicitTag(7, family === 4 ? Buffer.from(name.split(".").map(Number)) : ipv6Bytes(name));
}

function ipv6Bytes(address: string): Buffer {
  // In the URL standard's form, an IPv6 address has only groups of hexadecimal digits.
  const [head = "", tail] = new URL(`http://[${address}]`).hostname.slice(1, -1).split("::");
  const groups = (part: string) => part.split(":").filter((group) => group !== "");
  const before = groups(head);
  const after = groups(tail ?? "");
  const zeros = Array.from({ length: 8 - before.length - after.length }, () => "0");
  return Buffer.from([...before, ...zeros, ...after].map((group) => group.padStart(4, "0")).join(""), "hex");
}
