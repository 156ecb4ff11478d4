/** Why a call failed, in words that people understand. */
import { ConnectError } from "@connectrpc/connect";

/** Returns the server's words. For a server that is not reached, each browser has others, and none of them help. */
export function reasonOf(error: unknown): string {
  const { rawMessage, cause } = ConnectError.from(error);
  return cause instanceof TypeError ? "there is no connection" : rawMessage;
}
