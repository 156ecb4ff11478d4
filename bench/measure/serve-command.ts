/** `bmaas serve` as benchmarks start it: on free ports, and gone at once when it is told to end. */

/** Settings of the server, besides where it keeps its files. */
export const serveEnvironment = {
  BMAAS_AGENT_LISTEN: "127.0.0.1:0",
  BMAAS_ADMIN_LISTEN: "127.0.0.1:0",
  BMAAS_SHUTDOWN_DELAY: "0",
} as const;

/** Finds in a line of its log that it serves, and where agents call. */
export function readAgentUrl(line: string): string | undefined {
  return line.startsWith("{") ? (JSON.parse(line) as { agentUrl?: string }).agentUrl : undefined;
}
