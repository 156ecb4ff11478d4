/** How benchmarks start `bmaas serve`: on free ports, and without a delay at shutdown. */

/** Settings of the server, except its home. */
export const serveEnvironment = {
  BMAAS_AGENT_LISTEN: "127.0.0.1:0",
  BMAAS_ADMIN_LISTEN: "127.0.0.1:0",
  BMAAS_SHUTDOWN_DELAY: "0",
} as const;

/** Returns the URL for agents if a line of the log says that the server serves. */
export function readAgentUrl(line: string): string | undefined {
  return line.startsWith("{") ? (JSON.parse(line) as { agentUrl?: string }).agentUrl : undefined;
}
