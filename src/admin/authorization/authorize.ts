/**
 * Decides who may call which method, from the role that the contract requires, before a message is read. Nothing else
 * decides it.
 */
import { type DescMethod, getOption, hasOption } from "@bufbuild/protobuf";
import { Code, ConnectError, createContextKey, type HandlerContext } from "@connectrpc/connect";
import { Role, required_role } from "../../../gen/bmaas/admin/v1/role_pb.js";
import type { AdminRole } from "../../db/queries/admin-token.ts";
import { clientAddressKey } from "../../rpc/callers/client-address.ts";
import { createRefusalLines } from "../../rpc/callers/refusal-lines.ts";
import { noteForLog } from "../../rpc/calls/call-log.ts";
import { errorInfo } from "../../rpc/wire/error-details.ts";
import { type Caller, callerKey, type Identity } from "./caller.ts";
import { type CheckCredentials, RefusedCredentialsError, TooManyAttemptsError } from "./check-credentials.ts";

/** Decides on a call once its headers have arrived. Throws to refuse it. */
export type Authorize = (context: HandlerContext) => Promise<void>;

/** Decides on a call again. Rejects if its caller may not make it any more, or if nobody can tell now. */
export type AuthorizeAgain = () => Promise<void>;

/** Context key under which the authorization stores how to decide again on a call that lasts. */
export const authorizeAgainKey = createContextKey<AuthorizeAgain | undefined>(undefined, {
  description: "decides again on a stream of an admin method",
});

/**
 * Full names of the services that everyone may call: health, like /healthz, and reflection, since the schema is public
 * anyway. In any other service, nobody may call a method without a required role.
 * @public
 */
export const openServices: ReadonlySet<string> = new Set([
  "grpc.health.v1.Health",
  "grpc.reflection.v1.ServerReflection",
  "grpc.reflection.v1alpha.ServerReflection",
]);

const ranks: Readonly<Record<AdminRole, Role>> = {
  viewer: Role.VIEWER,
  operator: Role.OPERATOR,
  admin: Role.ADMIN,
};

/**
 * Creates the authorization of calls. It refuses a caller without valid credentials with `unauthenticated`, one whose
 * role does not suffice with `permission_denied`, and one with too many wrong guesses with TooManyAttemptsError.
 */
export function createAuthorization(check: CheckCredentials): Authorize {
  const noteRefusal = createRefusalNotes();
  return async (context) => {
    const { method, service, values, requestHeader } = context;
    const address = values.get(clientAddressKey);
    if (openServices.has(service.typeName)) {
      noteForLog(context, { level: "debug", address });
      return;
    }
    noteForLog(context, { address });
    const decide = async (): Promise<Caller> => {
      const identity = await check(requestHeader.get("authorization"), address).catch((error: unknown) => {
        noteRefusal(context, error);
        throw error instanceof RefusedCredentialsError ? toUnauthenticated(error) : error;
      });
      noteForLog(context, { actor: identity.actor });
      return admit(identity, method);
    };
    values.set(callerKey, await decide());
    if (method.methodKind !== "unary") values.set(authorizeAgainKey, async () => void (await decide()));
  };
}

function toUnauthenticated({ message, challenge }: RefusedCredentialsError): ConnectError {
  return new ConnectError(message, Code.Unauthenticated, { "www-authenticate": challenge });
}

/** Returns the lowest role that may call the method, or `UNSPECIFIED` if nobody may. */
function getRequiredRole(method: DescMethod): Role {
  return hasOption(method, required_role) ? getOption(method, required_role) : Role.UNSPECIFIED;
}

function admit({ actor, role }: Identity, method: DescMethod): Caller {
  const required = getRequiredRole(method);
  if (required === Role.UNSPECIFIED) {
    throw new ConnectError(
      `${method.name} cannot be called, because it declares no required role`,
      Code.PermissionDenied,
    );
  }
  if (role === undefined || ranks[role] < required) {
    const wanted = Role[required].toLowerCase();
    throw new ConnectError(
      `${method.name} requires the role ${wanted}, and you have ${role ?? "none"}`,
      Code.PermissionDenied,
      undefined,
      [errorInfo("ROLE_MISSING", { required: wanted, actual: role ?? "" })],
    );
  }
  return { actor, role };
}

/** Returns a function that adds refused credentials to the log line of their call. */
function createRefusalNotes() {
  const takeLine = createRefusalLines();
  return (context: HandlerContext, error: unknown): void => {
    if (!(error instanceof RefusedCredentialsError || error instanceof TooManyAttemptsError)) return;
    noteForLog(context, { ...takeLine(context.values.get(clientAddressKey)), reason: error.message });
  };
}
