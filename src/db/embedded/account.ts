/** Finds the user that PostgreSQL runs as, since it refuses to run as root. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { EmbeddedPostgresError } from "./errors.ts";

const run = promisify(execFile);

/** A user other than root. */
export interface Account {
  readonly uid: number;
  readonly gid: number;
}

/** Names of users to try; "_postgres" is macOS's. */
const candidates = ["postgres", "_postgres", "nobody"];
/** The greatest id that Node can start a process under; macOS's "nobody" has a greater one. */
const maxId = 2 ** 31 - 1;

/**
 * Returns the account that PostgreSQL runs as when this process is root's. Returns undefined for an ordinary user's
 * process, which can run PostgreSQL itself.
 */
export async function findServerAccount(): Promise<Account | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  for (const name of candidates) {
    // `id` consults every source of users that the system has, files and directory services alike.
    const ids = await Promise.all([run("id", ["-u", name]), run("id", ["-g", name])]).catch(() => undefined);
    if (ids === undefined) continue;
    const [uid = 0, gid = 0] = ids.map(({ stdout }) => Number(stdout));
    if (isOrdinaryId(uid) && isOrdinaryId(gid)) return { uid, gid };
  }
  throw new EmbeddedPostgresError(
    `PostgreSQL refuses to run as root, and this system has no user named ${candidates.join(" or ")} that could run it instead: ` +
      "run bmaas as an ordinary user, or set DATABASE_URL",
  );
}

function isOrdinaryId(id: number): boolean {
  return Number.isInteger(id) && id > 0 && id <= maxId;
}
