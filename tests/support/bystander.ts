/** An agent with one connection that heartbeats continuously, whatever others do to its server. */
import { once } from "node:events";
import { connect as connectHttp2 } from "node:http2";
import { setTimeout as delay } from "node:timers/promises";
import { createClientCertificate } from "../../src/agent/client-certificate.ts";
import type { TestMachine } from "./machine.ts";
import { callHttp2 } from "./raw-connection.ts";

/** A running agent. */
export interface Bystander extends AsyncDisposable {
  /**
   * Resolves after two heartbeats that began after this call. Rejects if its connection or any heartbeat has ever
   * failed.
   */
  expectUnharmed(): Promise<void>;
}

/** Connects an agent that sends one heartbeat after another until it is disposed of. */
export async function startBystander(
  server: { readonly agentUrl: string; readonly ca: string },
  { machineId, key }: TestMachine,
): Promise<Bystander> {
  const session = connectHttp2(server.agentUrl, { ca: server.ca, ...createClientCertificate(key) });
  await once(session, "connect");
  let beats = 0;
  let stopped = false;
  let trouble: string | undefined;
  const note = (what: string) => {
    if (!stopped) trouble ??= what;
  };
  session.on("error", (error) => note(`its connection failed: ${error.message}`));
  session.on("goaway", () => note("its connection was told to go away"));
  session.on("close", () => note("its connection was closed"));
  const loop = (async () => {
    while (!stopped && !session.destroyed) {
      const { status, body } = await callHttp2(session, {}, JSON.stringify({ machineId }));
      if (status !== 200) note(`heartbeat ${beats} got ${status} ${body}`);
      beats++;
      // The agent observes the server and must not load it.
      await delay(5);
    }
  })();
  return {
    expectUnharmed: async () => {
      // The current heartbeat may have begun before this call.
      const goal = beats + 3;
      while (beats < goal && trouble === undefined) await delay(5);
      if (trouble !== undefined) throw new Error(`the bystander was harmed: ${trouble}`);
    },
    [Symbol.asyncDispose]: async () => {
      stopped = true;
      await loop;
      session.destroy();
    },
  };
}
