/** The handler of HealthService.PutHealth. */
import { create } from "@bufbuild/protobuf";
import { durationMs } from "@bufbuild/protobuf/wkt";
import type { HandlerContext } from "@connectrpc/connect";
import {
  type HealthAlert,
  HealthEffect,
  type PutHealthRequest,
  type PutHealthResponse,
  PutHealthResponseSchema,
} from "../../../gen/bmaas/admin/v1/health_service_pb.js";
import { parseMachineId } from "../../contract/machine-id.ts";
import { putHealth } from "../../db/queries/machine-health.ts";
import type { NewAlert } from "../../db/queries/replace-alerts.ts";
import { agentSource, healthSeverities } from "../../db/schema/health-alert.ts";
import type { AdminContext } from "../admin-context.ts";
import { answerOnce } from "../answer-once.ts";
import { readMachine } from "../machine/read-machine.ts";
import { severities } from "../machine/to-machine.ts";
import { Violations } from "../violations.ts";
import { toHealthAlert } from "./to-health-alert.ts";

/** Creates the handler of HealthService.PutHealth. */
export function createPutHealth(context: AdminContext) {
  return async (request: PutHealthRequest, call: HandlerContext): Promise<PutHealthResponse> => {
    const { source, alerts, ttl } = request;
    const machineId = parseMachineId(request.machineId);
    assertSound(request);
    const health = {
      machineId,
      source,
      alerts: alerts.map(toNewAlert),
      ttlMs: ttl === undefined ? 0 : durationMs(ttl),
    };
    return await answerOnce(context, call, request, PutHealthResponseSchema, async (tx, actor) => {
      const stored = await putHealth(tx, health, actor);
      const machine = await readMachine(tx, machineId);
      return create(PutHealthResponseSchema, { machine, alerts: stored.map(toHealthAlert) });
    });
  };
}

/**
 * Throws ConnectError with `invalid_argument` for new alerts of the agents' source, and for alerts with one id and
 * target. What an agent put can be taken back for it, since the agent that would do so may be gone.
 */
function assertSound({ source, alerts }: PutHealthRequest): void {
  const violations = new Violations();
  if (source === agentSource && alerts.length > 0) {
    const description =
      "is reserved for the machine's agent: name another one, or put no alerts to take the agent's back";
    violations.add("source", description);
  }
  const places = new Map<string, number>();
  for (const [index, { id, target }] of alerts.entries()) {
    const key = JSON.stringify([id, target]);
    const first = places.get(key);
    if (first === undefined) places.set(key, index);
    else violations.add(`alerts[${index}]`, `has the id and target of alerts[${first}]: put each problem once`);
  }
  violations.assertNone();
}

function toNewAlert({ id, target, severity, message, effects }: HealthAlert): NewAlert {
  return {
    alertId: id,
    target,
    severity: healthSeverities.find((name) => severities[name] === severity) ?? "warning",
    message,
    blocksInstall: effects.includes(HealthEffect.BLOCK_INSTALL),
    mutes: effects.includes(HealthEffect.MUTE),
  };
}
