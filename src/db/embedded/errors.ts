/** Errors of the embedded PostgreSQL, worded for the operator who started the program. */
import { OperatorError } from "../../base/operator-error.ts";

/** The embedded PostgreSQL cannot run; the message says why and what to do. */
export class EmbeddedPostgresError extends OperatorError {
  override readonly name: string = "EmbeddedPostgresError";
}

/** A home has no embedded PostgreSQL, and whoever looked for one creates none. */
export class NoInstanceError extends EmbeddedPostgresError {
  override readonly name = "NoInstanceError";
  /** `who` is what creates none, such as "a dry run". */
  constructor(home: string, who: string) {
    super(
      `there is no database under ${home}, and ${who} creates none: ` +
        "set --home to the folder of a server that has started once, or set DATABASE_URL",
    );
  }
}

/** Another process of this program owns the embedded PostgreSQL of the same home. */
export class EmbeddedInUseError extends EmbeddedPostgresError {
  override readonly name = "EmbeddedInUseError";
  constructor(home: string, owner: string) {
    super(
      `another bmaas process (${owner}) uses ${home}: stop it first, give this one its own BMAAS_HOME, ` +
        "or set DATABASE_URL to let several processes share one PostgreSQL",
    );
  }
}
