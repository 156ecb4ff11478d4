/**
 * What the log may hold of an error, on the errors that the database's libraries really throw, and what becomes of a
 * log on a full disk.
 */
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { hasTerminals } from "../support/operator-command.ts";

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

/** Escape sequences by ESC and by C1, a direction mark, and a line that would pass for one of its own. */
const hostile = "a\u001b[2Jb\u009b31mc\u202ed\nnext";
const obeyed = /\p{Cc}|\p{Cf}/u;
const logHostile = `
  import { createLogger } from "./src/base/log.ts";
  const text = ${JSON.stringify(hostile)};
  createLogger("info", 1).warn({ error: text, warnings: [text], err: new Error(text) }, text);`;

test("a log for programs means what was said, and does nothing to a terminal that it is shown on later", async () => {
  const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "-e", logHostile]);
  expect(stdout.trimEnd()).not.toMatch(obeyed);
  expect(JSON.parse(stdout)).toMatchObject({
    msg: hostile,
    error: hostile,
    warnings: [hostile],
    err: { message: hostile },
  });
});

test.skipIf(!hasTerminals)(
  "a log on a terminal shows what it would obey (skipped without script of util-linux)",
  async () => {
    const command = `'${process.execPath}' --input-type=module -e "$PROGRAM"`;
    const env = { ...process.env, PROGRAM: logHostile, NO_COLOR: "1" };
    const { stdout } = await promisify(execFile)("script", ["-qec", command, "/dev/null"], { env });
    expect(stdout).toContain("a\\u{1b}[2Jb\\u{9b}31mc\\u{202e}d");
    // Colours of its own come by ESC as well.
    expect(stdout).not.toContain("\u001b[2J");
    expect(stdout).not.toMatch(/[\u009b\u202e]/);
  },
);

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
