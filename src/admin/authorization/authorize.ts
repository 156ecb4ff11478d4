/** The one place that decides who may call what, from the role that the contract asks for. */
import { getOption, hasOption } from "@bufbuild/protobuf";
import { Code, ConnectError, type Interceptor } from "@connectrpc/connect";
import { Role, required_role } from "../../../gen/bmaas/admin/v1/role_pb.js";
import type { AdminRole } from "../../db/queries/admin-token.ts";
import { type Caller, callerKey } from "./caller.ts";

/** Finds out who holds a bearer token; undefined for nobody. */
export type Identify = (bearerToken: string) => Promise<Caller | undefined>;

const ranks: Readonly<Record<AdminRole, Role>> = {
  viewer: Role.VIEWER,
  operator: Role.OPERATOR,
  admin: Role.ADMIN,
};

/**
 * Makes the interceptor. A method without a required role cannot be called by anybody. Refuses with `unauthenticated` who does not
 * prove to be somebody, and with `permission_denied` who may not do this.
 */
export function createAuthorization(identify: Identify): Interceptor {
  return (next) => async (request) => {
    const { method } = request;
    const required = hasOption(method, required_role) ? getOption(method, required_role) : Role.UNSPECIFIED;
    const caller = await identifyBearer(request.header.get("authorization"), identify);
    if (required === Role.UNSPECIFIED) {
      throw new ConnectError(`${method.name} cannot be called: it asks for no role`, Code.PermissionDenied);
    }
    if (ranks[caller.role] < required) {
      const role = Role[required].toLowerCase();
      throw new ConnectError(
        `${method.name} takes the role ${role}, and you have ${caller.role}`,
        Code.PermissionDenied,
      );
    }
    request.contextValues.set(callerKey, caller);
    return await next(request);
  };
}

async function identifyBearer(authorization: string | null, identify: Identify): Promise<Caller> {
  if (authorization === null) {
    throw new ConnectError('send a token: "authorization: Bearer <token>"', Code.Unauthenticated);
  }
  const [, token] = /^bearer ([\w.~+/=-]{1,8192})$/i.exec(authorization) ?? [];
  const caller = token === undefined ? undefined : await identify(token);
  if (caller === undefined) throw new ConnectError("the token is not valid", Code.Unauthenticated);
  return caller;
}
