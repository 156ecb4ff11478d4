/** The handler of AgentService.RevokeAgent. */
import { create } from "@bufbuild/protobuf";
import type { HandlerContext } from "@connectrpc/connect";
import {
  type RevokeAgentRequest,
  type RevokeAgentResponse,
  RevokeAgentResponseSchema,
} from "../../../gen/bmaas/admin/v1/agent_service_pb.js";
import { parseMachineId } from "../../contract/machine-id.ts";
import { revokeAgent } from "../../db/queries/agent-key.ts";
import type { AdminContext } from "../admin-context.ts";
import { answerOnce } from "../answer-once.ts";
import { readMachine } from "../machine/read-machine.ts";

/** Creates the handler of AgentService.RevokeAgent. */
export function createRevokeAgent(context: AdminContext) {
  return async (request: RevokeAgentRequest, call: HandlerContext): Promise<RevokeAgentResponse> => {
    const machineId = parseMachineId(request.machineId);
    const { expectedPublicKey } = request;
    return await answerOnce(context, call, request, RevokeAgentResponseSchema, async (tx, actor) => {
      await revokeAgent(tx, { machineId, expectedPublicKey }, actor);
      return create(RevokeAgentResponseSchema, { machine: await readMachine(tx, machineId) });
    });
  };
}
