/**
 * A program that owns the embedded PostgreSQL of the home in its arguments. It prints the URL as JSON, and stops
 * PostgreSQL when its input ends.
 */
import { pino } from "pino";
import { startEmbeddedPostgres } from "../../src/db/embedded/embedded-postgres.ts";

const [home = "", purpose = "a test"] = process.argv.slice(2);
// Ctrl-C on a terminal sends SIGINT to all its processes. This program survives it, as a draining server does.
process.on("SIGINT", () => {});
try {
  const embedded = await startEmbeddedPostgres({ home, purpose, log: pino({ level: "silent" }) });
  process.stdout.write(`${JSON.stringify({ url: embedded.url })}\n`);
  process.stdin.resume().once("end", () => void embedded.stop());
} catch (error) {
  const { name, message } = error as Error;
  process.stdout.write(`${JSON.stringify({ error: { name, message } })}\n`);
}
