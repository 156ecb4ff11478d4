/** The handler of AgentService.ReplaceAgent. */
import { create } from "@bufbuild/protobuf";
import type { HandlerContext } from "@connectrpc/connect";
import {
  type ReplaceAgentRequest,
  type ReplaceAgentResponse,
  ReplaceAgentResponseSchema,
} from "../../../gen/bmaas/admin/v1/agent_service_pb.js";
import { parseMachineId } from "../../contract/machine-id.ts";
import { replaceAgent } from "../../db/queries/agent-key.ts";
import type { AdminContext } from "../admin-context.ts";
import { answerOnce } from "../answer-once.ts";
import { readMachine } from "../machine/read-machine.ts";
import { checkPublicKey } from "./check-public-key.ts";

/** Creates the handler of AgentService.ReplaceAgent. */
export function createReplaceAgent(context: AdminContext) {
  return async (request: ReplaceAgentRequest, call: HandlerContext): Promise<ReplaceAgentResponse> => {
    const machineId = parseMachineId(request.machineId);
    const { publicKey, expectedPublicKey } = request;
    checkPublicKey(publicKey);
    return await answerOnce(context, call, request, ReplaceAgentResponseSchema, async (tx, actor) => {
      await replaceAgent(tx, { machineId, publicKey, expectedPublicKey }, actor);
      return create(ReplaceAgentResponseSchema, { machine: await readMachine(tx, machineId) });
    });
  };
}
