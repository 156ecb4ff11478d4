/**
 * TLS for a server without a certificate from its operator: the server's own CA, and a certificate that it issues.
 *
 * Each key is created once and never replaced. A certificate is issued from its key whenever the one on disk is
 * unsuitable. So several processes may start on one directory at once, and one may die at any point, and still every
 * certificate fits its key.
 */
import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  X509Certificate,
} from "node:crypto";
import { chmod, mkdir } from "node:fs/promises";
import { isIP } from "node:net";
import { hostname, networkInterfaces } from "node:os";
import { join } from "node:path";
import { domainToASCII } from "node:url";
import { createFileOnce, findFile, replaceFile } from "../base/atomic-file.ts";
import { caExtensions, type Issuer, issueCertificate, serverExtensions } from "./issue-certificate.ts";

/** The development CA's certificate, and the server's with its key: as PEM, and the paths of their files. */
export interface DevelopmentTls {
  /** File that clients must trust. */
  readonly caFile: string;
  readonly certFile: string;
  readonly keyFile: string;
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

const dayMs = 86_400_000;
const caLifetimeMs = 3650 * dayMs;
/**
 * Longest lifetime that browsers accept (CA/Browser Forum Baseline Requirements section 6.3.2, with a day to spare).
 */
const leafLifetimeMs = 397 * dayMs;
const renewBeforeMs = 30 * dayMs;
/** How far certificates are backdated, for clients whose clocks are slow. */
const backdateMs = dayMs;

/**
 * Creates what is missing under `<home>/tls`, and renews certificates that expire within 30 days or lack a name. The
 * server's certificate covers `hosts` (IP addresses or host names, with or without ports), localhost and this machine's
 * name. A wildcard address stands for all addresses of this machine.
 */
export async function ensureDevelopmentTls(
  home: string,
  hosts: readonly string[],
  now: Date = new Date(),
): Promise<DevelopmentTls> {
  const directory = join(home, "tls");
  await mkdir(directory, { recursive: true, mode: 0o700 });
  await chmod(directory, 0o700);
  const caFile = join(directory, "ca.pem");
  const certFile = join(directory, "server.pem");
  const keyFile = join(directory, "server.key");

  const caKey = await ensureKey(join(directory, "ca.key"));
  const issuer = { name: nameCa(caKey.key), privateKey: caKey.key };
  const ca = await ensureCertificate(caFile, caKey.key, now, {
    isAcceptable: (found) => found.ca && found.subject === `CN=${issuer.name}`,
    issue: (publicKey) => issueCa(issuer, publicKey, now),
  });
  const names = listNames(hosts);
  const serverKey = await ensureKey(keyFile);
  const certificate = await ensureCertificate(certFile, serverKey.key, now, {
    isAcceptable: (found) => found.checkIssued(ca) && found.verify(ca.publicKey) && coversNames(found, names),
    issue: (publicKey) => issueLeaf(issuer, ca, publicKey, names, now),
  });
  return { caFile, certFile, keyFile, ca: ca.toString(), cert: certificate.toString(), key: serverKey.pem };
}

async function ensureKey(file: string): Promise<{ pem: string; key: KeyObject }> {
  const pem = (await findFile(file)) ?? (await createFileOnce(file, generateKey(), 0o600));
  try {
    return { pem, key: createPrivateKey(pem) };
  } catch {
    throw new Error(`${file}: not a private key in PEM; remove it, and the server creates a new one`);
  }
}

function generateKey(): string {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  return privateKey.export({ type: "pkcs8", format: "pem" }).toString();
}

/**
 * Returns the certificate in `file` if it belongs to the key, is acceptable and does not expire soon. Otherwise
 * replaces it with a new one.
 */
async function ensureCertificate(
  file: string,
  key: KeyObject,
  now: Date,
  rules: { isAcceptable(certificate: X509Certificate): boolean; issue(publicKey: KeyObject): X509Certificate },
): Promise<X509Certificate> {
  const found = parseCertificate(await findFile(file));
  if (found?.checkPrivateKey(key) && isCurrent(found, now) && rules.isAcceptable(found)) return found;
  const issued = rules.issue(createPublicKey(key));
  if (found === undefined) {
    const winner = parseCertificate(await createFileOnce(file, issued.toString(), 0o644));
    if (winner?.checkPrivateKey(key) && isCurrent(winner, now) && rules.isAcceptable(winner)) return winner;
  }
  await replaceFile(file, issued.toString(), 0o644);
  return issued;
}

function parseCertificate(pem: string | undefined): X509Certificate | undefined {
  try {
    return pem === undefined ? undefined : new X509Certificate(pem);
  } catch {
    return undefined;
  }
}

function isCurrent(certificate: X509Certificate, now: Date): boolean {
  return certificate.validFromDate <= now && certificate.validToDate.getTime() > now.getTime() + renewBeforeMs;
}

/**
 * Returns the CA's name. It is derived from the key, so that two CAs in one trust store have different names and a
 * renewed CA keeps its name.
 */
function nameCa(key: KeyObject): string {
  const spki = createPublicKey(key).export({ type: "spki", format: "der" });
  return `bmaas development CA ${createHash("sha256").update(spki).digest("hex").slice(0, 8)}`;
}

function issueCa(issuer: Issuer, publicKey: KeyObject, now: Date): X509Certificate {
  return issueCertificate(
    {
      subject: issuer.name,
      publicKey,
      notBefore: new Date(now.getTime() - backdateMs),
      notAfter: new Date(now.getTime() + caLifetimeMs),
      extensions: caExtensions(publicKey),
    },
    issuer,
  );
}

function issueLeaf(
  issuer: Issuer,
  ca: X509Certificate,
  publicKey: KeyObject,
  names: readonly string[],
  now: Date,
): X509Certificate {
  const notBefore = new Date(now.getTime() - backdateMs);
  return issueCertificate(
    {
      subject: "bmaas development server",
      publicKey,
      notBefore,
      notAfter: new Date(Math.min(notBefore.getTime() + leafLifetimeMs, ca.validToDate.getTime())),
      extensions: serverExtensions(publicKey, issuer, names),
    },
    issuer,
  );
}

function coversNames(certificate: X509Certificate, names: readonly string[]): boolean {
  return names.every((name) =>
    isIP(name) === 0 ? certificate.checkHost(name, { subject: "never" }) : certificate.checkIP(name),
  );
}

function listNames(hosts: readonly string[]): string[] {
  const names = ["localhost", "127.0.0.1", "::1", hostname(), ...hosts].flatMap((host) => expandHost(stripPort(host)));
  return [...new Set(names)];
}

function stripPort(host: string): string {
  return isIP(host) === 0 ? host.replace(/^\[([^\]]*)\](?::\d+)?$/, "$1").replace(/^([^:]*):\d+$/, "$1") : host;
}

/**
 * Returns the names that a certificate can carry for a host: none for an invalid name, several for a wildcard address.
 */
function expandHost(host: string): string[] {
  if (host === "0.0.0.0" || host === "::") {
    return Object.values(networkInterfaces())
      .flatMap((addresses) => addresses ?? [])
      .filter(({ address, family }) => !address.startsWith("fe80:") && (family === "IPv4" || host === "::"))
      .map(({ address }) => address);
  }
  if (isIP(host) !== 0) return [host.replace(/%.*$/, "")];
  const ascii = domainToASCII(host.replace(/\.$/, ""));
  return /^[a-z0-9_-]+(?:\.[a-z0-9_-]+)*$/.test(ascii) ? [ascii] : [];
}
