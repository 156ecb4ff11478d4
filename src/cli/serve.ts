/** `bmaas serve`: runs the server until it is stopped. */
import { existsSync } from "node:fs";
import { relative } from "node:path";
import { Command } from "commander";
import type { Logger } from "pino";
import { ownFolder } from "../base/own-files.ts";
import type { Config, Flags } from "../config/config.ts";
import type { ConsoleBuild } from "../service/console-files.ts";
import type { Service } from "../service/service.ts";
import { formatExamples } from "./examples.ts";
import { type HangUp, waitForHangUp } from "./hang-up.ts";
import { addSettings } from "./settings-options.ts";

/** Creates the command `bmaas serve`. */
export function serveCommand(): Command {
  return addSettings(new Command("serve"), "serve")
    .addHelpText(
      "after",
      formatExamples("bmaas serve", "DATABASE_URL=postgres://bmaas@db.example/bmaas bmaas serve --workers 4"),
    )
    .addHelpText(
      "after",
      "\nDATABASE_URL names the PostgreSQL to use; without it the server runs its own under BMAAS_HOME.",
    )
    .action(async (flags: Flags) => {
      const { createLogger } = await import("../base/log.ts");
      const { loadCheckedConfig } = await import("../service/preflight.ts");
      const { endAfterUncaughtError, takeUncaughtErrors } = await import("../service/uncaught-errors.ts");
      const config = await loadCheckedConfig(flags);
      const log = createLogger(config.logLevel, 1);
      let service: Service | undefined;
      void takeUncaughtErrors(log).then(() => {
        // A primary process serves no callers itself, and its workers would end with it.
        if (service !== undefined && config.workers > 1) return;
        return endAfterUncaughtError(log, async () => await service?.close({ isHurried: true }));
      });
      const hangUp = config.workers > 1 ? waitForHangUp() : undefined;
      service = await start(config, log, hangUp);
      // Only a server that serves has somebody to build it for.
      await using consoleBuild = config.console ? await beginConsole(log) : undefined;
      const reasons = [waitForSignal(), hangUp?.terminalGone, service.lost].filter((reason) => reason !== undefined);
      if (process.stdout.isTTY) {
        process.stdout.write(summarize(service, config, consoleBuild?.isNeeded === true));
      } else {
        const { agentUrl, adminUrl, caFile, adminTokenFile } = service;
        const consoleUrl = config.console ? `${adminUrl}/` : undefined;
        log.info({ agentUrl, adminUrl, consoleUrl, caFile, adminTokenFile }, "serving");
      }
      const failure = await Promise.race(reasons);
      log.info(
        { reason: failure instanceof Error ? failure.message : failure },
        "shutting down; a second signal exits at once",
      );
      await service.close();
      if (failure instanceof Error) throw failure;
      log.info("stopped");
    });
}

async function beginConsole(log: Logger): Promise<ConsoleBuild> {
  const { startConsoleBuild } = await import("../service/console-files.ts");
  return await startConsoleBuild(log);
}

/** Starts the server in this process alone, or with workers. */
async function start(config: Config, log: Logger, hangUp: HangUp | undefined): Promise<Service> {
  if (hangUp === undefined) {
    const { startService } = await import("../service/service.ts");
    return await startService(config, log);
  }
  const { startWorkers } = await import("../workers/primary.ts");
  const service = await startWorkers(config, log);
  hangUp.onRequest(() => void service.replaceWorkers());
  return service;
}

const signals = ["SIGINT", "SIGTERM"] as const;

/** Resolves to the name of the first signal. A second one ends the process at once, with the shell's status for it. */
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

/** How to replace workers. Windows has no signal to request it. */
const replaceHint =
  process.platform === "win32" ? "they share both ports" : `kill -HUP ${process.pid} replaces them one by one`;

/** How users start this program. In a clone, there is no command `bmaas`. */
const ownName = existsSync(new URL("src", ownFolder)) ? "npm run bmaas --" : "bmaas";

function summarize(service: Service, config: Config, isConsoleLate: boolean): string {
  const home = relative(process.cwd(), config.home) || ".";
  const lines = [
    ["agents", `${service.agentUrl}  gRPC, gRPC-Web and Connect`],
    ["operators", `${service.adminUrl}  /healthz, /readyz, /metrics`],
    ...(config.console
      ? [["console", `${service.adminUrl}/${isConsoleLate ? "  is being built, some seconds" : ""}`]]
      : []),
    ...(config.workers === 1 ? [] : [["workers", `${config.workers} processes; ${replaceHint}`]]),
    ["database", config.databaseUrl === undefined ? `its own PostgreSQL, URL in ${home}/database.url` : "DATABASE_URL"],
    ...(service.caFile === undefined
      ? []
      : [["agents' CA", `${relative(process.cwd(), service.caFile)}  (development)`]]),
    ...(service.adminTokenFile === undefined
      ? []
      : [["admin token", `${relative(process.cwd(), service.adminTokenFile)}  (keep it secret)`]]),
  ];
  const table = lines.map(([name, value]) => `  ${name?.padEnd(11)} ${value}`).join("\n");
  return `\nbmaas serves\n${table}\n\nTry next, in another terminal: ${ownName} status\nCtrl-C stops it.\n\n`;
}
