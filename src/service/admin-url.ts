/**
 * What commands on this machine find the server by, and know it by; it serves all the same where nothing can be
 * written.
 */
import type { Logger } from "pino";
import { leaveLocalAdminUrl, removeLocalAdminUrl } from "../base/local-server.ts";
import { keepServerKey } from "../base/server-proof.ts";

const consequence = "operators' commands on this machine will not find the server by themselves";

/** Says where the server is until it is disposed of, which is when the server begins to end. */
export async function leaveAdminUrl(home: string, url: string, log: Logger): Promise<AsyncDisposable> {
  try {
    await leaveLocalAdminUrl(home, url);
  } catch (error) {
    log.warn({ err: error }, consequence);
  }
  return {
    [Symbol.asyncDispose]: () =>
      removeLocalAdminUrl(home, url).catch((error: unknown) =>
        log.warn({ err: error }, "the file by which operators' commands find the server could not be removed"),
      ),
  };
}

/** The key by which the server proves to be the one of the home; undefined where none can be kept. */
export async function openServerKey(home: string, log: Logger): Promise<string | undefined> {
  try {
    return await keepServerKey(home);
  } catch (error) {
    log.warn({ err: error }, consequence);
    return undefined;
  }
}
