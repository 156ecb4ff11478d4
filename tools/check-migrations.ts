/** Fails when tools/migration-faults.ts finds any in drizzle/; run from the root of the repository. */
import { findMigrationFaults } from "./migration-faults.ts";

const faults = await findMigrationFaults("drizzle");
for (const fault of faults) process.stderr.write(`${fault}\n`);
if (faults.length > 0) process.exitCode = 1;
