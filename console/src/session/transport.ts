/** Calls to the server that the page came from, by Connect, with the caller's token. */
import { TokenService } from "@api/token_service_pb.js";
import { Code, ConnectError, createClient, type Interceptor } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-web";
import { type Caller, session } from "./session.ts";

/** Sends the token of the session, and ends the session when the server refuses it. */
const authorize: Interceptor = (next) => async (request) => {
  const { token } = session;
  if (token !== undefined) request.header.set("authorization", `Bearer ${token}`);
  try {
    return await next(request);
  } catch (error) {
    if (token !== undefined && ConnectError.from(error).code === Code.Unauthenticated) {
      session.end(token, ConnectError.from(error).rawMessage);
    }
    throw error;
  }
};

const baseUrl = window.location.origin;

/** The transport of all calls. */
export const transport = createConnectTransport({ baseUrl, useBinaryFormat: true, interceptors: [authorize] });

/** Asks the server whose token it is. Throws ConnectError if it is nobody's, or if the server is away. */
export async function identify(token: string): Promise<Caller> {
  const plain = createConnectTransport({ baseUrl, useBinaryFormat: true });
  const headers = { authorization: `Bearer ${token}` };
  const { actor, role } = await createClient(TokenService, plain).getCaller({}, { headers });
  return { actor, role };
}
