/** What inputs are sent to, and by whom: listeners, agents whose keys are registered, operators' tokens. */

import type { ClientCertificate } from "../src/agent/client-certificate.ts";
import type { SimulatedIdentity } from "../src/simulate/fleet-identities.ts";
import type { Side } from "./content/routes.ts";

/** A listener of a server under test. */
export interface Door {
  /** For example "agents, TLS". */
  readonly name: string;
  readonly side: Side;
  readonly hasTls: boolean;
  readonly url: string;
  readonly port: number;
  /** Host and port, as requests name them. */
  readonly authority: string;
  /** PEM of the CA that its certificate comes from; empty without TLS. */
  readonly ca: string;
}

/** An agent that inputs speak for. */
export interface FuzzAgent extends SimulatedIdentity, ClientCertificate {}

/** Everything that an input may use. */
export interface Target {
  readonly doors: readonly Door[];
  readonly agents: readonly FuzzAgent[];
  /** Agents that one input at a time speaks for: of two signatures that overtake each other, the server refuses one. */
  readonly unsharedAgents: FuzzAgent[];
  /** Have keys that no machine has, unless a join token lets them in. */
  readonly strangers: readonly FuzzAgent[];
  /** Secrets of join tokens: one that lets agents in, one that requires approval, and one for expected machines. */
  readonly joinTokens: readonly string[];
  /** Machines that operators' calls may do anything with. */
  readonly spareMachineIds: readonly string[];
  /** Whether agents' listeners know the proxies that inputs may come through. */
  readonly hasProxies: boolean;
  /** Of a viewer and of an operator. Inputs have none of an administrator, who could take away the others'. */
  readonly tokens: readonly string[];
}

/** Makes a door. */
export function toDoor(side: Side, url: string, ca: string): Door {
  const { protocol, port, host } = new URL(url);
  const hasTls = protocol === "https:";
  const name = `${side}, ${hasTls ? "TLS" : "plaintext"}`;
  return { name, side, hasTls, url, port: Number(port), authority: host, ca };
}
