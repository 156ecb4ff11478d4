/**
 * Leaves the files in the home by which commands on this machine find and authenticate the server. A server that cannot
 * write them serves all the same.
 */
import type { Logger } from "pino";
import { leaveLocalAdminUrl, removeLocalAdminUrl } from "../base/local-server.ts";
import { keepServerKey } from "../base/server-proof.ts";

const consequence = "operators' commands on this machine will not find the server by themselves";

/**
 * Records the operators' URL in the home. Disposing of the result, which happens when the server begins to shut down,
 * removes the record.
 */
export async function leaveAdminUrl(home: string, url: string, log: Logger): Promise<AsyncDisposable> {
  try {
    await leaveLocalAdminUrl(home, url);
  } catch (error) {
    log.warn({ err: error }, consequence);
  }
  return {
    [Symbol.asyncDispose]: () =>
      removeLocalAdminUrl(home, url).catch((error: unknown) =>
        log.warn({ err: error }, "could not remove the file by which operators' commands find the server"),
      ),
  };
}

/**
 * Returns the secret key by which the server proves that it is the one of the home, or undefined if the key cannot be
 * stored.
 */
export async function openServerKey(home: string, log: Logger): Promise<string | undefined> {
  try {
    return await keepServerKey(home);
  } catch (error) {
    log.warn({ err: error }, consequence);
    return undefined;
  }
}
