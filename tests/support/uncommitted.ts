/** Transactions of the product whose beginning and end are a test's. */
import type pg from "pg";

/** The client, but what it is told to begin and to commit is left to the test. */
export function uncommitted(client: pg.ClientBase): pg.ClientBase {
  const query = async (statement: string | pg.QueryConfig) => {
    if (statement === "commit") return { ...(await client.query("select")), command: "COMMIT" };
    return client.query(typeof statement === "string" && statement.startsWith("begin") ? "select" : statement);
  };
  return Object.create(client, { query: { value: query } });
}
