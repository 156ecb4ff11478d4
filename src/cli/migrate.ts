/** `bmaas migrate`: only migrates the database to this version's schema. */
import { Command } from "commander";
import type { Flags } from "../config/config.ts";
import { formatExamples } from "./examples.ts";
import { addSettings } from "./settings-options.ts";

/** Creates the command `bmaas migrate`. */
export function migrateCommand(): Command {
  return addSettings(new Command("migrate"), "migrate")
    .addHelpText("after", formatExamples("DATABASE_URL=postgres://bmaas@db.example/bmaas bmaas migrate"))
    .addHelpText(
      "after",
      `
DATABASE_URL names the PostgreSQL to use; without it, the server's own under BMAAS_HOME,
which bmaas serve creates when it first starts there.`,
    )
    .action(async (flags: Flags) => {
      const { loadConfig } = await import("../config/config.ts");
      const { hasInstance } = await import("../db/embedded/instance.ts");
      const { NoInstanceError } = await import("../db/embedded/errors.ts");
      const { openDatabaseServer } = await import("../db/open.ts");
      const { migrateDatabase } = await import("../db/migrate.ts");
      const { explainOutage, isDatabaseAway } = await import("../db/errors.ts");
      const { createLogger } = await import("../base/log.ts");
      const config = loadConfig(undefined, flags);
      const { databaseUrl, home } = config;
      // A server creates its database with the newest schema: who migrates one that is not there has mistyped its home.
      if (databaseUrl === undefined && !(await hasInstance(home))) throw new NoInstanceError(home, "bmaas migrate");
      const log = createLogger(config.logLevel, 2);
      const server = await openDatabaseServer({ ...config, log, mode: "share" });
      try {
        const { applied } = await migrateDatabase(server.url, log);
        const what = applied === 1 ? "1 migration" : `${applied} migrations`;
        process.stdout.write(applied === 0 ? "nothing to do: the schema is up to date\n" : `applied ${what}\n`);
      } catch (error) {
        if (!isDatabaseAway(error)) throw error;
        throw new Error(`${explainOutage(error)}: mend that or DATABASE_URL, then migrate again`, { cause: error });
      } finally {
        await server.close();
      }
    });
}
