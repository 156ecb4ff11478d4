/** Checks whether a pooler between the program and PostgreSQL can be used. */
import type pg from "pg";
import { OperatorError } from "../base/operator-error.ts";
import { sqlState } from "./errors.ts";

/**
 * The pooler moves transactions between connections and loses the statements that were prepared on the previous one.
 */
class UnfitPoolerError extends OperatorError {
  override readonly name = "UnfitPoolerError";
}

/** Longest wait for a free connection of the pooler, in milliseconds. */
const patienceMs = 3_000;
const invalidStatementName = "26000";

/**
 * Uses a prepared statement on two connections of the pooler, one after the other, and throws UnfitPoolerError when the
 * second one does not know it. Accepts a pooler that has too few connections to tell.
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

/**
 * Prepares a statement, then occupies its connection with another client's transaction, so that its next use runs on a
 * different connection.
 */
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
