/** Lets tests control the beginning and the end of the product's transactions. */
import type pg from "pg";

/** Returns a client that ignores BEGIN and COMMIT, which the test executes itself. */
export function uncommitted(client: pg.ClientBase): pg.ClientBase {
  const query = async (statement: string | pg.QueryConfig) => {
    if (statement === "commit") return { ...(await client.query("select")), command: "COMMIT" };
    return client.query(typeof statement === "string" && statement.startsWith("begin") ? "select" : statement);
  };
  return Object.create(client, { query: { value: query } });
}
