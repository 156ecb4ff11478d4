/** The handler of AgentService.RegisterAgent. */
import { create } from "@bufbuild/protobuf";
import type { HandlerContext } from "@connectrpc/connect";
import {
  type RegisterAgentRequest,
  type RegisterAgentResponse,
  RegisterAgentResponseSchema,
} from "../../../gen/bmaas/admin/v1/agent_service_pb.js";
import { parseMachineId } from "../../contract/machine-id.ts";
import { registerAgent } from "../../db/queries/agent-key.ts";
import type { AdminContext } from "../admin-context.ts";
import { answerOnce } from "../answer-once.ts";
import { readMachine } from "../machine/read-machine.ts";
import { checkPublicKey } from "./check-public-key.ts";

/** Creates the handler of AgentService.RegisterAgent. */
export function createRegisterAgent(context: AdminContext) {
  return async (request: RegisterAgentRequest, call: HandlerContext): Promise<RegisterAgentResponse> => {
    const machineId = parseMachineId(request.machineId);
    const { publicKey } = request;
    checkPublicKey(publicKey);
    return await answerOnce(context, call, request, RegisterAgentResponseSchema, async (tx, actor) => {
      await registerAgent(tx, { machineId, publicKey }, actor);
      return create(RegisterAgentResponseSchema, { machine: await readMachine(tx, machineId) });
    });
  };
}
