/** What the log may hold of an error, on the errors that the database's libraries really throw, and what becomes of a log on a full disk. */
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";

let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
});

afterAll(() => database?.close());

/** Logs, in a process of its own, the error that `statement` ends in. */
async function logErrorOf(statement: string): Promise<{ line: string; err: Record<string, unknown> }> {
  const program = `
    import { sql } from "drizzle-orm";
    import { connectDatabase } from "./src/db/client.ts";
    import { createLogger } from "./src/base/log.ts";
    const { db, close } = connectDatabase(process.env.URL_OF_TEST);
    const log = createLogger("info", 1);
    await db.execute(${statement}).catch((err) => log.error({ err }, "failed"));
    await close();`;
  const options = { env: { ...process.env, URL_OF_TEST: database.url } };
  const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "-e", program], options);
  return { line: stdout, err: JSON.parse(stdout).err };
}

test.each([
  ["a value of the wrong type", `sql\`select \${"hunter2"}::uuid\``, "22P02"],
  [
    "a value that is there already",
    `sql\`insert into machine (id) values (\${"4b9f3a52-2f0c-4a53-9d0e-6f1f3f1f9c11"}), (\${"4b9f3a52-2f0c-4a53-9d0e-6f1f3f1f9c11"})\``,
    "23505",
  ],
])("codes and names of a database error are logged, not its parameters: %s", async (_name, statement, code) => {
  const { line, err } = await logErrorOf(statement);
  expect(err).toMatchObject({ type: "DrizzleQueryError", cause: { type: "DatabaseError", code } });
  expect(line).not.toMatch(/hunter2|4b9f3a52|select|insert/);
});

test.runIf(existsSync("/dev/full"))("a log that cannot be written ends nothing", async () => {
  const program = `
    import { createLogger } from "./src/base/log.ts";
    const log = createLogger("info", 1);
    for (let line = 0; line < 10_000; line++) log.info({ padding: "x".repeat(1000) }, "line");
    process.stderr.write("still here");`;
  const command = '"$0" --input-type=module -e "$1" > /dev/full';
  const { stderr } = await promisify(execFile)("sh", ["-c", command, process.execPath, program]);
  expect(stderr).toBe("still here");
});
