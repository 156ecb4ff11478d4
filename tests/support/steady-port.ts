/** Ports on which tests listen again, after nobody did for a while. */
import { randomInt } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:net";

/** Below the ports that systems give to those who ask for any (Linux: from 32768 on; others: from 49152 on). */
const [first, end] = [20_000, 32_768];

/**
 * Finds a port of 127.0.0.1 on which nobody listens, and which nobody is given by chance while that is so, as a port
 * might be that was free a moment ago.
 */
export async function findSteadyPort(): Promise<number> {
  for (;;) {
    const server = createServer();
    const listening = once(server, "listening").then(
      () => true,
      () => false,
    );
    const port = randomInt(first, end);
    server.listen(port, "127.0.0.1");
    if (!(await listening)) continue;
    await new Promise((resolve) => server.close(resolve));
    return port;
  }
}

/** Like `findSteadyPort`, as an address to listen at. */
export async function findSteadyAddress(): Promise<string> {
  return `127.0.0.1:${await findSteadyPort()}`;
}
