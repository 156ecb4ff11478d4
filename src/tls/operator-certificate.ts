/**
 * Loads certificates that operators provide, and reports at start everything that would fail at a client's first
 * handshake.
 */
import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import { createSecureContext } from "node:tls";
import { readSecretFile, type SecretText } from "../base/secret-file.ts";
import { ConfigError, type TlsFiles } from "../config/config.ts";

/** A certificate chain and its key, as PEM, and warnings about them. */
export interface OperatorCertificate {
  readonly cert: string;
  readonly key: string;
  readonly warnings: readonly string[];
}

/**
 * Reads and checks both files. Throws ConfigError with every mistake in them; each line begins with the file's path.
 */
export async function loadOperatorCertificate(
  { certFile, keyFile }: TlsFiles,
  now: Date = new Date(),
): Promise<OperatorCertificate> {
  const mistakes: string[] = [];
  // The files are read one after the other, so that their mistakes come in this order.
  const cert = (await readPem(certFile, mistakes))?.text;
  const { text: key, warnings = [] } = (await readPem(keyFile, mistakes)) ?? {};
  const chain = cert === undefined ? undefined : parseChain(certFile, cert, mistakes);
  const privateKey = key === undefined ? undefined : parseKey(keyFile, key, mistakes);
  const [leaf] = chain ?? [];
  if (chain !== undefined && leaf !== undefined && privateKey !== undefined && mistakes.length === 0) {
    mistakes.push(...findPairMistakes(certFile, keyFile, chain, privateKey));
  }
  if (cert === undefined || key === undefined || leaf === undefined || mistakes.length > 0) {
    throw new ConfigError(mistakes);
  }
  try {
    createSecureContext({ cert, key });
  } catch (error) {
    throw new ConfigError([
      `${certFile}: OpenSSL refuses it: ${error instanceof Error ? error.message : "no reason given"}`,
    ]);
  }
  return { cert, key, warnings: [...warnings, ...findWarnings(certFile, leaf, now)] };
}

async function readPem(file: string, mistakes: string[]): Promise<SecretText | undefined> {
  try {
    return await readSecretFile(file, "a private key");
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "";
    const reasons: Record<string, string> = {
      ENOENT: "no such file",
      EACCES: "is not readable by this user",
      EISDIR: "is a directory",
    };
    mistakes.push(`${file}: ${reasons[code] ?? `cannot be read (${code})`}`);
    return undefined;
  }
}

function parseChain(file: string, pem: string, mistakes: string[]): X509Certificate[] | undefined {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ?? [];
  try {
    const chain = blocks.map((block) => new X509Certificate(block));
    if (chain.length > 0) return chain;
  } catch {
    // Handled below: an invalid block is the same mistake as no certificate.
  }
  mistakes.push(`${file}: no certificate in PEM ("-----BEGIN CERTIFICATE-----")`);
  return undefined;
}

function parseKey(file: string, pem: string, mistakes: string[]): KeyObject | undefined {
  if (/-----BEGIN ENCRYPTED PRIVATE KEY-----|^Proc-Type: 4,ENCRYPTED/m.test(pem)) {
    mistakes.push(`${file}: the key is encrypted, and a server has nobody to ask for the passphrase`);
    return undefined;
  }
  try {
    const key = createPrivateKey(pem);
    if (!/^ed/.test(key.asymmetricKeyType ?? "")) return key;
    mistakes.push(`${file}: browsers and many agents refuse Ed25519 and Ed448 servers, use ECDSA P-256`);
  } catch {
    mistakes.push(`${file}: no private key in PEM ("-----BEGIN PRIVATE KEY-----")`);
  }
  return undefined;
}

function findPairMistakes(certFile: string, keyFile: string, chain: X509Certificate[], key: KeyObject): string[] {
  const position = chain.findIndex((certificate) => certificate.checkPrivateKey(key));
  if (position === 0) return [];
  if (position === -1) return [`${keyFile}: not the key of the certificate in ${certFile}`];
  return [`${certFile}: the server's own certificate must be the first one, it is number ${position + 1}`];
}

function findWarnings(file: string, leaf: X509Certificate, now: Date): string[] {
  const warnings: string[] = [];
  if (leaf.validToDate <= now) warnings.push(`${file}: the certificate expired on ${leaf.validToDate.toISOString()}`);
  if (leaf.validFromDate > now) {
    warnings.push(`${file}: the certificate is not valid before ${leaf.validFromDate.toISOString()}`);
  }
  if (leaf.subjectAltName === undefined) {
    warnings.push(`${file}: the certificate has no subject alternative name, so clients match it with no host`);
  }
  return warnings;
}
