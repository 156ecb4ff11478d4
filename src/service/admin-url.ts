/** Tells commands on this machine where the server is. */
import type { Logger } from "pino";
import { leaveLocalAdminUrl } from "../base/local-server.ts";

/** Commands on this machine find the server by it; it serves all the same where it cannot be written. */
export async function leaveAdminUrl(home: string, url: string, log: Logger): Promise<void> {
  try {
    await leaveLocalAdminUrl(home, url);
  } catch (error) {
    log.warn({ err: error }, "operators' commands on this machine will not find the server by themselves");
  }
}
