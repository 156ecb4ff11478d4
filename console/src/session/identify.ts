/** Asks the server whose token it is. */
import { TokenService } from "@api/token_service_pb.js";
import { createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-web";
import type { Caller } from "./session.ts";

/** Returns the holder of a token. Throws ConnectError if it is nobody's, or if the server is away. */
export async function identify(token: string): Promise<Caller> {
  const transport = createConnectTransport({ baseUrl: window.location.origin, useBinaryFormat: true });
  const headers = { authorization: `Bearer ${token}` };
  const { actor, role } = await createClient(TokenService, transport).getCaller({}, { headers });
  return { actor, role };
}
