/** A TCP proxy that can refuse, cut and freeze connections, to simulate failures of the network to a database. */
import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { findSteadyPort } from "./steady-port.ts";

/**
 * How the proxy treats connections: `pass` forwards; `refuse` cuts them all and accepts none; `freeze` accepts them,
 * forwards nothing in either direction, and loses what was sent meanwhile.
 */
export type ProxyMode = "pass" | "refuse" | "freeze";

/** A proxy on a loopback port. */
export interface TcpProxy extends AsyncDisposable {
  /** URL of the target through the proxy. */
  readonly url: string;
  setMode(mode: ProxyMode): Promise<void>;
  /** Cuts all connections, but accepts new ones. */
  cut(): void;
  /**
   * Freezes the first connection that sends `text`, just before that: the server gets what came before, and never the
   * rest. Only a connection whose first bytes contained `greeting` counts. Resolves when that has happened.
   */
  freezeBefore(text: string, greeting: string): Promise<void>;
}

interface Pair {
  readonly client: Socket;
  readonly server: Socket;
  /** First bytes that the client sent. */
  greeting: Buffer | undefined;
  frozen: boolean;
}

/** Starts a proxy to the server at the host and port of `targetUrl`. */
export async function startTcpProxy(targetUrl: string): Promise<TcpProxy> {
  const target = new URL(targetUrl);
  const pairs = new Set<Pair>();
  let mode: ProxyMode = "pass";
  let trap: { text: string; greeting: string; sprung(): void } | undefined;

  const server = createServer({ allowHalfOpen: true }, (client) => {
    const upstream = connect({ port: Number(target.port || 5432), host: target.hostname, allowHalfOpen: true });
    const pair: Pair = { client, server: upstream, greeting: undefined, frozen: mode === "freeze" };
    pairs.add(pair);
    forward(upstream, client, () => pair.frozen);
    forward(client, upstream, (chunk) => {
      pair.greeting ??= chunk;
      if (pair.frozen || trap === undefined || !pair.greeting.includes(trap.greeting)) return pair.frozen;
      if (!chunk.includes(trap.text)) return false;
      pair.frozen = true;
      upstream.write(chunk.subarray(0, chunk.indexOf(trap.text)), trap.sprung);
      trap = undefined;
      return true;
    });
    // A frozen connection does not forward its end, as after a lost route.
    client.once("end", () => pair.frozen || upstream.end());
    upstream.once("end", () => pair.frozen || client.end());
    for (const socket of [client, upstream]) {
      socket.on("error", () => {});
      socket.once("close", () => pair.frozen || drop(pair));
    }
  });

  function drop(pair: Pair): void {
    pairs.delete(pair);
    pair.client.destroy();
    pair.server.destroy();
  }

  const cut = () => {
    for (const pair of pairs) drop(pair);
  };
  const port = await findSteadyPort();
  const listen = async () => {
    server.listen(port, "127.0.0.1");
    await once(server, "listening");
  };
  await listen();
  const url = new URL(targetUrl);
  url.host = `127.0.0.1:${port}`;

  return {
    url: url.href,
    cut,
    async setMode(next) {
      mode = next;
      if (next === "refuse") {
        server.close();
        cut();
      } else if (!server.listening) await listen();
      // A frozen connection has lost bytes, so it never recovers, as after a lost route.
      if (next === "freeze") for (const pair of pairs) pair.frozen = true;
    },
    freezeBefore(text, greeting) {
      const { promise, resolve } = Promise.withResolvers<void>();
      trap = { text, greeting, sprung: resolve };
      return promise;
    },
    async [Symbol.asyncDispose]() {
      server.close();
      cut();
    },
  };
}

function forward(from: Socket, to: Socket, isHeldBack: (chunk: Buffer) => boolean): void {
  from.on("data", (chunk: Buffer) => {
    if (!isHeldBack(chunk)) to.write(chunk);
  });
}
