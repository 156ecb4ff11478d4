/** The handler of TokenService.GetCaller. */
import { create } from "@bufbuild/protobuf";
import type { HandlerContext } from "@connectrpc/connect";
import {
  type GetCallerRequest,
  type GetCallerResponse,
  GetCallerResponseSchema,
} from "../../../gen/bmaas/admin/v1/token_service_pb.js";
import { getCaller } from "../authorization/caller.ts";
import { roles } from "./to-token.ts";

/** Handles TokenService.GetCaller: returns the caller that the authorization found. */
export function answerGetCaller(_request: GetCallerRequest, call: HandlerContext): GetCallerResponse {
  const { actor, role } = getCaller(call);
  return create(GetCallerResponseSchema, { actor, role: roles[role] });
}
