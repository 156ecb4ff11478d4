/** Settings of drizzle-kit: `npm run db:generate`, `npm run db:studio`. */
import { existsSync, readFileSync } from "node:fs";
import { defineConfig } from "drizzle-kit";

const embeddedUrlFile = `${process.env.BMAAS_HOME ?? ".bmaas"}/database.url`;
const url =
  process.env.DATABASE_URL ?? (existsSync(embeddedUrlFile) ? readFileSync(embeddedUrlFile, "utf8").trim() : undefined);

export default defineConfig({
  dialect: "postgresql",
  schema: "./src/db/schema/index.ts",
  out: "./drizzle",
  casing: "snake_case",
  strict: true,
  ...(url === undefined ? {} : { dbCredentials: { url } }),
});
