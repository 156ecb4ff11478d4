/** Parses the texts of settings. Each function throws InvalidValueError with the second half of a sentence. */
import { BlockList, isIP, SocketAddress } from "node:net";
import { nameMetricLabel, parseLabelKey } from "../contract/labels.ts";

/** Says what is wrong with a value. The message follows the setting's name, and never quotes a secret. */
export class InvalidValueError extends Error {
  override readonly name = "InvalidValueError";
}

/** Address to which a listener binds. */
export interface ListenAddress {
  /** An IP address without brackets, or a host name in lower case. */
  readonly host: string;
  /** 0 lets the system choose. */
  readonly port: number;
}

/** pino's log levels; "silent" logs nothing. */
const logLevels = ["fatal", "error", "warn", "info", "debug", "trace", "silent"] as const;
export type LogLevel = (typeof logLevels)[number];

const longestDelaySeconds = 3600;
const longestDeadlineSeconds = 7 * 24 * 3600;
const mostWorkers = 64;
const mostDays = 36_500;
const mostReinstallations = 1000;
const hostName = /^(?!-)[a-z0-9-]{1,63}(?:\.(?!-)[a-z0-9-]{1,63})*\.?$/;

const loopback = new BlockList();
loopback.addSubnet("127.0.0.0", 8, "ipv4");
loopback.addAddress("::1", "ipv6");

/** Parses `127.0.0.1:8443`, `[::1]:8443` or `name:8443`. */
export function parseListenAddress(text: string): ListenAddress {
  const [, bracketed, plain, digits] = /^(?:\[([^\]]*)\]|([^:[\]]+)):(\d{1,5})$/.exec(text) ?? [];
  const port = Number(digits);
  const host = bracketed === undefined ? plain?.toLowerCase() : canonicalIpv6(bracketed);
  const known =
    bracketed !== undefined || isIP(host ?? "") === 4 || (hostName.test(host ?? "") && !/^[\d.]*$/.test(host ?? ""));
  if (host === undefined || !known || port > 65_535) {
    throw new InvalidValueError(`${quote(text)} is not HOST:PORT, for example 127.0.0.1:8443`);
  }
  return { host, port };
}

function canonicalIpv6(text: string): string | undefined {
  return isIP(text) === 6 ? new SocketAddress({ address: text, family: "ipv6" }).address : undefined;
}

/** Returns whether only this machine can reach the address. */
export function isLoopback({ host }: ListenAddress): boolean {
  const family = isIP(host);
  return family === 0 ? host === "localhost" : loopback.check(host, family === 6 ? "ipv6" : "ipv4");
}

/** Returns whether two listeners cannot bind to these addresses at the same time. Port 0 never collides. */
export function overlaps(a: ListenAddress, b: ListenAddress): boolean {
  if (a.port === 0 || a.port !== b.port) return false;
  return a.host === b.host || covers(a.host, b.host) || covers(b.host, a.host);
}

function covers(wildcard: string, host: string): boolean {
  return wildcard === "::" || (wildcard === "0.0.0.0" && isIP(host) !== 6);
}

/** Parses a list of IP addresses and networks, separated by commas, such as "192.0.2.1, 10.0.0.0/8". */
export function parseNetworks(text: string): readonly string[] {
  return [...new Set(text.split(",").map((part) => parseNetwork(part.trim())))];
}

function parseNetwork(text: string): string {
  if (isNetwork(text)) return text;
  throw new InvalidValueError(`${quote(text)} is not an IP address or a network such as 10.0.0.0/8`);
}

function isNetwork(text: string): boolean {
  const [, address = "", bits] = /^([^/]+)(?:\/(\d{1,3}))?$/.exec(text) ?? [];
  const family = isIP(address);
  const mostBits = family === 6 ? 128 : 32;
  return family !== 0 && !address.includes("%") && Number(bits ?? 0) <= mostBits;
}

/** Networks and host names, as `parseReceiverAllow` returns them. */
export interface NetworksAndHosts {
  readonly networks: readonly string[];
  /** In lower case. */
  readonly hosts: readonly string[];
}

/** Parses a list of IP addresses, networks and host names, separated by commas. */
export function parseReceiverAllow(text: string): NetworksAndHosts {
  const networks = new Set<string>();
  const hosts = new Set<string>();
  for (const part of text.split(",").map((each) => each.trim().toLowerCase())) {
    if (isNetwork(part)) networks.add(part);
    else if (hostName.test(part) && !/^[\d.]*$/.test(part)) hosts.add(part);
    else
      throw new InvalidValueError(`${quote(part)} is not an IP address, a network such as 10.0.0.0/8, or a host name`);
  }
  return { networks: [...networks], hosts: [...hosts] };
}

/** Parses `wait` or `accept`. */
export function parseExpectedPolicy(text: string): "wait" | "accept" {
  if (text === "wait" || text === "accept") return text;
  throw new InvalidValueError(`${quote(text)} is neither wait nor accept`);
}

/** Parses `approve`, `token` or `never`. */
export function parseReenrolment(text: string): "approve" | "token" | "never" {
  if (text === "approve" || text === "token" || text === "never") return text;
  throw new InvalidValueError(`${quote(text)} is neither approve nor token nor never`);
}

/** Parses `on` or `off`. */
export function parseSwitch(text: string): "on" | "off" {
  if (text !== "on" && text !== "off") throw new InvalidValueError(`${quote(text)} is neither on nor off`);
  return text;
}

/** Parses one of pino's levels. */
export function parseLogLevel(text: string): LogLevel {
  const level = logLevels.find((known) => known === text);
  if (level === undefined) throw new InvalidValueError(`${quote(text)} is not one of ${logLevels.join(", ")}`);
  return level;
}

/** Parses whole seconds, from one second to one week. Returns milliseconds. */
export function parseDeadlineMs(text: string): number {
  const seconds = Number(text);
  if (!/^\d{1,6}$/.test(text) || seconds < 1 || seconds > longestDeadlineSeconds) {
    throw new InvalidValueError(`${quote(text)} is not a whole number of seconds from 1 to ${longestDeadlineSeconds}`);
  }
  return seconds * 1000;
}

/** Parses whole seconds, from two seconds to one hour. Returns milliseconds. */
export function parseIntervalMs(text: string): number {
  const seconds = Number(text);
  if (!/^\d{1,4}$/.test(text) || seconds < 2 || seconds > longestDelaySeconds) {
    throw new InvalidValueError(`${quote(text)} is not a whole number of seconds from 2 to ${longestDelaySeconds}`);
  }
  return seconds * 1000;
}

/** Parses decimal seconds, up to one hour. Returns whole milliseconds. */
export function parseDelayMs(text: string): number {
  const seconds = Number(text);
  if (!/^\d+(?:\.\d+)?$/.test(text) || seconds > longestDelaySeconds) {
    throw new InvalidValueError(`${quote(text)} is not a number of seconds from 0 to ${longestDelaySeconds}`);
  }
  return Math.round(seconds * 1000);
}

/** Parses the number of processes that serve, from 1 to 64. */
export function parseWorkers(text: string): number {
  const workers = Number(text);
  if (!/^\d{1,2}$/.test(text) || workers < 1 || workers > mostWorkers) {
    throw new InvalidValueError(`${quote(text)} is not a whole number of processes from 1 to ${mostWorkers}`);
  }
  return workers;
}

/** Parses the number of installations, from 0 to 1000. */
export function parseReinstallLimit(text: string): number {
  const count = Number(text);
  if (!/^\d{1,4}$/.test(text) || count > mostReinstallations) {
    throw new InvalidValueError(
      `${quote(text)} is not a whole number of installations from 0 to ${mostReinstallations}`,
    );
  }
  return count;
}

/** Parses whole days, up to about a hundred years. */
export function parseDays(text: string): number {
  const days = Number(text);
  if (!/^\d+$/.test(text) || days > mostDays) {
    throw new InvalidValueError(`${quote(text)} is not a whole number of days from 0 to ${mostDays}`);
  }
  return days;
}

/** Parses a version of one to four numbers, such as 1.4 or 1.4.0. */
export function parseVersion(text: string): readonly number[] {
  if (!/^\d{1,9}(\.\d{1,9}){0,3}$/.test(text)) {
    throw new InvalidValueError(`${quote(text)} is not a version such as 1.4 or 1.4.0`);
  }
  return text.split(".").map(Number);
}

/**
 * Parses a list of `host[:port]`, separated by commas. Returns the authorities in the form of `@authority` (RFC 9421
 * section 2.2.3): in lower case and without the default port of https.
 */
export function parseAuthorities(text: string): readonly string[] {
  return [...new Set(text.split(",").map((part) => parseAuthority(part.trim())))];
}

const mostMetricLabels = 8;

/** Reads the keys of machines' labels that metrics show, separated by commas; empty for none. */
export function parseMetricLabels(text: string): readonly string[] {
  if (text === "") return [];
  const keys = [...new Set(text.split(",").map((part) => parseMetricLabel(part.trim())))];
  if (keys.length > mostMetricLabels) throw new InvalidValueError(`names more than ${mostMetricLabels} labels`);
  const names = new Set(keys.map(nameMetricLabel));
  if (names.size < keys.length) throw new InvalidValueError("names two labels that have one name in Prometheus");
  return keys;
}

function parseMetricLabel(text: string): string {
  try {
    return parseLabelKey(text);
  } catch (error) {
    throw new InvalidValueError(`${quote(text)} ${(error as Error).message}`);
  }
}

function parseAuthority(text: string): string {
  const url = URL.canParse(`https://${text}`) ? new URL(`https://${text}`) : undefined;
  if (url === undefined || /[\s/?#@\\]/.test(text) || url.port === "0") {
    throw new InvalidValueError(`${quote(text)} is not HOST or HOST:PORT, for example agents.example.org`);
  }
  return url.host;
}

/**
 * Accepts an http or https URL without credentials, query and fragment. Returns it in its usual form, without a slash
 * at the end.
 */
export function parseAdminUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isPlain = url?.username === "" && url.password === "" && url.search === "" && url.hash === "";
  if (url === undefined || !isPlain || !/^https?:$/.test(url.protocol)) {
    throw new InvalidValueError(
      "not an http or https URL without credentials, query and fragment, for example http://127.0.0.1:8480",
    );
  }
  return `${url.origin}${url.pathname}`.replace(/\/+$/, "");
}

/** Accepts a text that can be a bearer token in a header (RFC 6750 section 2.1). Error messages do not quote it. */
export function parseBearerToken(text: string): string {
  const token = text.trim();
  if (!/^[A-Za-z0-9._~+/-]{1,8192}=*$/.test(token)) throw new InvalidValueError("not a token");
  return token;
}

/** Returns a value in quotes for a message, on one line and shortened. */
export function quote(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text);
}
