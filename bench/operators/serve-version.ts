/** Starts the server of a version that is compared. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { connectOperator } from "../../src/cli/operator/admin-client.ts";
import { loadConfig } from "../../src/config/config.ts";
import { serveEnvironment } from "../measure/serve-command.ts";
import { startServer } from "../measure/server-process.ts";
import type { FleetVersion } from "./versions.ts";

/** A running server, its administrator, and the version's own command. */
export type Serving = Awaited<ReturnType<typeof serveVersion>>;

/** Starts a version's server on its database. Its home, below `homes`, keeps the token that its first start creates. */
export async function serveVersion({ name, folder, databaseUrl }: FleetVersion, homes: string) {
  process.stderr.write(`starts the server of ${name} …\n`);
  const home = join(homes, `home-${name}`);
  mkdirSync(home, { recursive: true });
  const program = join(folder, "src", "main.ts");
  const server = await startServer({
    ...{ program, args: ["serve"] },
    readLine: (line) => (line.startsWith("{") ? (JSON.parse(line) as { adminUrl?: string }).adminUrl : undefined),
    environment: { ...serveEnvironment, BMAAS_HOME: home, DATABASE_URL: databaseUrl },
  });
  const token = readFileSync(join(home, "admin.token"), "utf8").trim();
  const settings = { BMAAS_ADMIN_URL: server.said, BMAAS_ADMIN_TOKEN: token };
  return {
    operator: await connectOperator(loadConfig(settings)),
    /** Lists all machines by the version's own command. */
    async list(): Promise<void> {
      const args = [program, "machines", "list", "--json"];
      const env = { PATH: process.env.PATH, ...settings };
      const [status] = await once(
        spawn(process.execPath, args, { stdio: ["ignore", "ignore", "inherit"], env }),
        "exit",
      );
      if (status !== 0) throw new Error(`machines list of ${name} ended with status ${status}`);
    },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}
