/** The user under whom PostgreSQL runs: it refuses to run as root. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { EmbeddedPostgresError } from "./errors.ts";

const run = promisify(execFile);

/** A user other than root. */
export interface Account {
  readonly uid: number;
  readonly gid: number;
}

const candidates = ["postgres", "nobody"];

/** The account that root hands PostgreSQL to; undefined when this process is an ordinary user's and may run it itself. */
export async function findServerAccount(): Promise<Account | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  for (const name of candidates) {
    // `id` asks every source of users that the system has, files and directories alike.
    const ids = await Promise.all([run("id", ["-u", name]), run("id", ["-g", name])]).catch(() => undefined);
    if (ids === undefined) continue;
    const [uid, gid] = ids.map(({ stdout }) => Number(stdout));
    if (uid !== undefined && gid !== undefined && uid > 0 && Number.isInteger(gid)) return { uid, gid };
  }
  throw new EmbeddedPostgresError(
    `PostgreSQL refuses to run as root, and this system has no user named ${candidates.join(" or ")} to run it instead: ` +
      "run bmaas as an ordinary user, or set DATABASE_URL",
  );
}
