/** Reads the agent's settings from the kernel's command line. */

/** Where the server's CA is, and what it has to be. */
export interface CaSource {
  readonly url: URL;
  /** SHA-256 of the file, 64 lower-case hexadecimal digits. */
  readonly digest: string;
}

/** Settings of the agent in a netboot image. */
export interface BootSettings {
  /** The agents' listener. */
  readonly endpoint: string;
  /** The CA of the server's certificate; undefined for one of those that Node trusts. */
  readonly ca: CaSource | undefined;
  /** Secret of a join token; undefined for an agent that waits for an operator. */
  readonly token: string | undefined;
  /** Whether the agent proves its key by signatures, for a proxy that terminates TLS. */
  readonly isSigned: boolean;
}

/** The kernel's command line has wrong settings. The message names all of them, and no value of a secret. */
export class BootSettingsError extends Error {
  override readonly name = "BootSettingsError";
  constructor(mistakes: readonly string[]) {
    super(mistakes.join("; "));
  }
}

const prefix = "bmaas.";
const names: readonly string[] = ["endpoint", "ca", "token", "signed"];

/** Reads the settings from the text of /proc/cmdline. Throws BootSettingsError. */
export function parseBootSettings(commandLine: string): BootSettings {
  const mistakes: string[] = [];
  const given = readParameters(commandLine, mistakes);
  const endpoint = given.get("endpoint");
  const isSigned = given.has("signed");
  if (endpoint === undefined) mistakes.push("bmaas.endpoint=URL is missing: the URL of the server's agents' listener");
  else checkEndpoint(endpoint, isSigned, mistakes);
  if (given.get("signed")) mistakes.push("bmaas.signed takes no value");
  if (given.get("token") === "") mistakes.push("bmaas.token is empty");
  const ca = given.get("ca");
  const source = ca === undefined ? undefined : parseCa(ca);
  if (typeof source === "string") mistakes.push(source);
  if (mistakes.length > 0 || endpoint === undefined || typeof source === "string")
    throw new BootSettingsError(mistakes);
  return { endpoint, ca: source, token: given.get("token"), isSigned };
}

/** Returns the values of our parameters by their names. One without "=" has the value "". */
function readParameters(commandLine: string, mistakes: string[]): Map<string, string> {
  const given = new Map<string, string>();
  for (const word of splitWords(commandLine)) {
    if (!word.startsWith(prefix)) continue;
    const [name = "", ...rest] = word.slice(prefix.length).split("=");
    if (!names.includes(name)) mistakes.push(`bmaas.${name} is not a setting: there are ${names.join(", ")}`);
    else if (given.has(name)) mistakes.push(`bmaas.${name} is there twice`);
    else given.set(name, rest.join("="));
  }
  return given;
}

/** Splits at white space outside of double quotes, and removes the quotes, as the kernel does (next_arg). */
function splitWords(commandLine: string): string[] {
  const words = commandLine.match(/(?:"[^"]*"?|[^\s"])+/g) ?? [];
  return words.map((word) => word.replaceAll('"', ""));
}

function checkEndpoint(endpoint: string, isSigned: boolean, mistakes: string[]): void {
  const url = URL.parse(endpoint);
  if (url === null || !/^https?:$/.test(url.protocol) || url.username !== "" || url.password !== "") {
    mistakes.push("bmaas.endpoint is not an http or https URL without credentials");
  } else if (url.protocol === "http:" && !isSigned) {
    mistakes.push("bmaas.endpoint needs an https URL, since a client certificate does (without TLS, add bmaas.signed)");
  }
}

/** Returns where the CA is, or what is wrong. */
function parseCa(text: string): CaSource | string {
  const url = URL.parse(text);
  if (url === null || !/^https?:$/.test(url.protocol)) return "bmaas.ca is not an http or https URL";
  const digest = /^#sha256:([0-9a-f]{64})$/.exec(url.hash)?.[1];
  if (digest === undefined) {
    return "bmaas.ca does not end in # and the file's digest, as in http://boot.example/ca.pem#sha256:… with 64 digits";
  }
  url.hash = "";
  return { url, digest };
}
