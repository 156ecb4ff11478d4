/** Takes an embedded PostgreSQL away for good. */
import { realpath, rm } from "node:fs/promises";
import { findServerAccount } from "./account.ts";
import { locateInstance } from "./instance.ts";

/** Deletes all data of the instance that belongs to `home`; its server must have been stopped. */
export async function removeEmbeddedPostgres(home: string): Promise<void> {
  await rm(locateInstance(await realpath(home), await findServerAccount()), { recursive: true, force: true });
}
