/** A real agent against a real server, whose steps a test can wait for. */
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { onTestFinished } from "vitest";
import { AgentHardwareReportSchema } from "../../../gen/cloud/bmaas/server/api/agent_pb.js";
import { createAgentClient } from "../../../src/agent/agent-client.ts";
import type { AgentEvent } from "../../../src/agent/agent-event.ts";
import { createAgentKey } from "../../../src/agent/agent-key.ts";
import { runAgent } from "../../../src/agent/agent-loop.ts";
import type { AgentOptions } from "../../../src/agent/agent-options.ts";
import { openInstallState } from "../../../src/agent/install-state.ts";
import type { HeartbeatServer } from "./heartbeat-server.ts";

export const machineId = "4b9f3a52-2f0c-4a53-9d0e-6f1f3f1f9c11";
const key = await createAgentKey(new Uint8Array(32).fill(9));

/** A request that agents know. */
export const requestOf = (generation: bigint, rootDevice = "sda") => ({
  generation,
  type: { case: "image" as const, value: { url: "https://images.example/debian-13.img", rootDevice } },
});

/** An agent that runs. */
export interface RunningAgent {
  readonly events: AgentEvent[];
  /** How long it meant to wait, each time, in milliseconds. */
  readonly pauses: number[];
  /** The generations that its installer was given. */
  readonly installed: bigint[];
  /** Resolves once `count` events of a type have happened. */
  happened(type: AgentEvent["type"], count?: number): Promise<void>;
  /** Tells it to stop; resolves when it has. */
  stop(): Promise<void>;
}

/** Starts an agent on the state file in `folder` that does not really wait between heartbeats. */
export async function startAgent(
  server: Pick<HeartbeatServer, "url" | "ca">,
  folder: string,
  overrides: Partial<AgentOptions> = {},
): Promise<RunningAgent> {
  const [events, pauses, installed]: [AgentEvent[], number[], bigint[]] = [[], [], []];
  const changed = new EventTarget();
  const controller = new AbortController();
  const { bootId } = overrides;
  const state = await openInstallState(join(folder, "state.json"), overrides.machineId ?? machineId, bootId);
  const { install = async () => undefined, ...rest } = overrides;
  const running = runAgent({
    machineId,
    client: createAgentClient({ endpoint: server.url, key, ca: server.ca }),
    state,
    install: async (request, signal, report) => {
      installed.push(request.generation);
      return await install(request, signal, report);
    },
    collectHardware: async () => create(AgentHardwareReportSchema, { report: { product: "test" } }),
    sleep: async (durationMs) => {
      pauses.push(durationMs);
      await new Promise((resolve) => setTimeout(resolve, 5));
    },
    onEvent: (event) => {
      events.push(event);
      changed.dispatchEvent(new Event("event"));
    },
    signal: controller.signal,
    ...rest,
  });
  const happened = async (type: AgentEvent["type"], count = 1) => {
    while (events.filter((event) => event.type === type).length < count) {
      await new Promise((resolve) => changed.addEventListener("event", resolve, { once: true }));
    }
  };
  const stop = async () => {
    controller.abort();
    await running;
    state.close();
  };
  onTestFinished(stop);
  return { events, pauses, installed, happened, stop };
}
