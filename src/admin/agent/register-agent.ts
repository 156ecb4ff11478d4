/** The handlers of AgentService.RegisterAgent and BatchRegisterAgents. */
import { create } from "@bufbuild/protobuf";
import type { HandlerContext } from "@connectrpc/connect";
import {
  BatchRegisterAgentsResponseSchema,
  type RegisterAgentRequest,
  RegisterAgentRequestSchema,
  type RegisterAgentResponse,
  RegisterAgentResponseSchema,
} from "../../../gen/bmaas/admin/v1/agent_service_pb.js";
import type { Machine } from "../../../gen/bmaas/admin/v1/machine_pb.js";
import { parseMachineId } from "../../contract/machine-id.ts";
import { registerNewAgents } from "../../db/queries/agent-key.ts";
import { type AgentKey, PublicKeyInUseError } from "../../db/queries/agent-started.ts";
import type { AdminContext } from "../admin-context.ts";
import { answerOnce } from "../answer-once.ts";
import { createBatchHandler } from "../batch/answer-batch.ts";
import { applyOne, type MachineOperation } from "../batch/machine-operation.ts";
import { readMachines } from "../machine/read-machine.ts";
import { checkPublicKey } from "./check-public-key.ts";

const registration: MachineOperation<RegisterAgentRequest, AgentKey, readonly string[], Machine> = {
  requestSchema: RegisterAgentRequestSchema,
  read({ machineId, publicKey }) {
    checkPublicKey(publicKey);
    return { machineId: parseMachineId(machineId), publicKey };
  },
  apply: registerNewAgents,
  readAnswers: readMachines,
  findField: (error) => (error instanceof PublicKeyInUseError ? "public_key" : undefined),
};

/** Creates the handler of AgentService.RegisterAgent. */
export function createRegisterAgent(context: AdminContext) {
  return async (request: RegisterAgentRequest, call: HandlerContext): Promise<RegisterAgentResponse> => {
    const agent = registration.read(request);
    return await answerOnce(context, call, request, RegisterAgentResponseSchema, async (tx, actor) =>
      create(RegisterAgentResponseSchema, { machine: await applyOne(registration, tx, agent, actor) }),
    );
  };
}

/** Creates the handler of AgentService.BatchRegisterAgents. */
export function createBatchRegisterAgents(context: AdminContext) {
  return createBatchHandler(context, registration, {
    schema: BatchRegisterAgentsResponseSchema,
    create: (machines, failedRequests) => create(BatchRegisterAgentsResponseSchema, { machines, failedRequests }),
  });
}
