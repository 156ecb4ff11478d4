/** A program that owns the embedded PostgreSQL of the home in its arguments, says where as JSON, and stops it when its input ends. */
import { pino } from "pino";
import { startEmbeddedPostgres } from "../../src/db/embedded/embedded-postgres.ts";

const [home = "", purpose = "a test"] = process.argv.slice(2);
// What a terminal's Ctrl-C sends to everything in it; this program outlives it, as a server does that drains.
process.on("SIGINT", () => {});
try {
  const embedded = await startEmbeddedPostgres({ home, purpose, log: pino({ level: "silent" }) });
  process.stdout.write(`${JSON.stringify({ url: embedded.url })}\n`);
  process.stdin.resume().once("end", () => void embedded.stop());
} catch (error) {
  const { name, message } = error as Error;
  process.stdout.write(`${JSON.stringify({ error: { name, message } })}\n`);
}
