/** `bmaas serve`: runs the server until it is told to stop. */
import { relative } from "node:path";
import { Command } from "commander";
import type { Config, Flags, SettingName } from "../config.ts";
import type { Service } from "../service.ts";
import { formatExamples } from "./examples.ts";
import { addSettings } from "./settings-options.ts";

const settings: readonly SettingName[] = [
  "home",
  "agentListen",
  "adminListen",
  "tlsCert",
  "tlsKey",
  "agentTls",
  "agentAuthority",
  "adminTlsCert",
  "adminTlsKey",
  "adminBehindProxy",
  "oidcIssuer",
  "oidcAudience",
  "oidcRoleClaim",
  "oidcRoles",
  "heartbeatInterval",
  "installDeadline",
  "historyDays",
  "metricsPublic",
  "logLevel",
  "shutdownDelay",
];

/** The command for main. */
export function serveCommand(): Command {
  return addSettings(new Command("serve"), settings)
    .description("run the server: the agents' and the operators' listener over one PostgreSQL")
    .addHelpText("after", formatExamples("bmaas serve", "DATABASE_URL=postgres://bmaas@db.example/bmaas bmaas serve"))
    .addHelpText(
      "after",
      "\nDATABASE_URL names the PostgreSQL to use; without it the server runs its own under BMAAS_HOME.",
    )
    .action(async (flags: Flags) => {
      const { createLogger } = await import("../log.ts");
      const { loadCheckedConfig } = await import("../preflight.ts");
      const { startService } = await import("../service.ts");
      const config = await loadCheckedConfig(flags);
      const log = createLogger(config.logLevel, 1);
      const service = await startService(config, log);
      const stopSignal = waitForSignal();
      if (process.stdout.isTTY) process.stdout.write(summarize(service, config));
      else {
        const { agentUrl, adminUrl, caFile, adminTokenFile } = service;
        log.info({ agentUrl, adminUrl, caFile, adminTokenFile }, "serving");
      }
      const failure = await Promise.race([stopSignal, ...(service.lost === undefined ? [] : [service.lost])]);
      log.info(
        { reason: failure instanceof Error ? failure.message : failure },
        "shutting down; a second signal ends at once",
      );
      await service.close();
      if (failure instanceof Error) throw failure;
      log.info("stopped");
    });
}

const signals = ["SIGINT", "SIGTERM"] as const;

/** Resolves with the first signal; the second one ends the process there and then, with the shell's status for it. */
function waitForSignal(): Promise<string> {
  return new Promise((resolve) => {
    for (const signal of signals) {
      process.once(signal, () => {
        for (const next of signals) process.on(next, () => process.exit(next === "SIGINT" ? 130 : 143));
        resolve(signal);
      });
    }
  });
}

function summarize(service: Service, config: Config): string {
  const home = relative(process.cwd(), config.home) || ".";
  const lines = [
    ["agents", `${service.agentUrl}  gRPC, gRPC-Web and Connect`],
    ["operators", `${service.adminUrl}  /healthz, /readyz, /metrics`],
    ["database", config.databaseUrl === undefined ? `its own PostgreSQL, URL in ${home}/database.url` : "DATABASE_URL"],
    ...(service.caFile === undefined
      ? []
      : [["agents' CA", `${relative(process.cwd(), service.caFile)}  (development)`]]),
    ...(service.adminTokenFile === undefined
      ? []
      : [["admin token", `${relative(process.cwd(), service.adminTokenFile)}  (keep it secret)`]]),
  ];
  const table = lines.map(([name, value]) => `  ${name?.padEnd(11)} ${value}`).join("\n");
  return `\nbmaas serves\n${table}\n\nTry next, in another terminal: npm run db:seed -- drizzle/example-fleet.yaml\nCtrl-C stops it.\n\n`;
}
