/** Finds out whether a pooler of connections between here and PostgreSQL will do. */
import type pg from "pg";
import { OperatorError } from "../base/operator-error.ts";
import { sqlState } from "./errors.ts";

/**
 * The pooler hands each transaction to another connection, and does not bring along what was prepared on the last one.
 */
class UnfitPoolerError extends OperatorError {
  override readonly name = "UnfitPoolerError";
}

/** Longest to wait for a connection of the pooler that is not in use, in milliseconds. */
const patienceMs = 3_000;
const invalidStatementName = "26000";

/**
 * Uses a prepared statement on two connections of the pooler, one after the other, and throws UnfitPoolerError when the
 * second does not know it. A pooler that has too few connections to tell is taken for one that will do.
 */
export async function refusePoolerWithoutStatements(Client: typeof pg.Client, config: pg.ClientConfig): Promise<void> {
  const [preparing, occupying] = [0, 1].map(() => new Client({ ...config, query_timeout: patienceMs }));
  try {
    await prepareAndMove(preparing, occupying);
  } catch (error) {
    if (sqlState(error) !== invalidStatementName) return;
    throw new UnfitPoolerError(
      "the pooler in front of the database loses prepared statements between transactions: use PgBouncer 1.21 or later " +
        "with max_prepared_statements above 0, or pool_mode = session",
    );
  } finally {
    await Promise.all([preparing, occupying].map((client) => client?.end()));
  }
}

/** Whoever has prepared has to do with another connection once its own is held by a transaction of somebody else. */
async function prepareAndMove(preparing: pg.Client | undefined, occupying: pg.Client | undefined): Promise<void> {
  const statement = { name: "bmaas-pooler", text: "select 1" };
  for (const client of [preparing, occupying]) {
    client?.on("error", () => {});
    await client?.connect();
  }
  await preparing?.query(statement);
  await occupying?.query("begin");
  await preparing?.query(statement);
}
