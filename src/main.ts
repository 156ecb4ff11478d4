#!/usr/bin/env node
/** The command `bmaas`: finds the subcommand, runs it, and turns its failure into one line and an exit status. */
import { Command, CommanderError } from "commander";
import { CommandFailure, exitStatus } from "./cli/operator/exit-status.ts";
import { explainError } from "./error-text.ts";
import { OperatorError } from "./operator-error.ts";
import { readVersion } from "./version.ts";

/** Loaded when asked for, so that the agent does not carry the server. */
const commands: Record<string, () => Promise<Command>> = {
  serve: async () => (await import("./cli/serve.ts")).serveCommand(),
  migrate: async () => (await import("./cli/migrate.ts")).migrateCommand(),
  seed: async () => (await import("./cli/seed.ts")).seedCommand(),
  agent: async () => (await import("./cli/agent.ts")).agentCommand(),
  simulate: async () => (await import("./cli/simulate.ts")).simulateCommand(),
  machines: async () => (await import("./cli/machines.ts")).machinesCommand(),
  agents: async () => (await import("./cli/agents.ts")).agentsCommand(),
  install: async () => (await import("./cli/install.ts")).installCommand(),
  history: async () => (await import("./cli/history.ts")).historyCommand(),
  hardware: async () => (await import("./cli/hardware.ts")).hardwareCommand(),
  tokens: async () => (await import("./cli/tokens.ts")).tokensCommand(),
  status: async () => (await import("./cli/status.ts")).statusCommand(),
  demo: async () => (await import("./cli/demo.ts")).demoCommand(),
  completion: async () =>
    (await import("./cli/completion.ts")).completionCommand(() => createProgram(Object.values(commands))),
};

const exitStatusHelp = "\nExit status: 0 done, 1 failed, 2 wrong usage, configuration or input; more by command.";

async function main(args: readonly string[]): Promise<number> {
  const wanted = commands[args[0] ?? ""];
  const program = await createProgram(wanted === undefined ? Object.values(commands) : [wanted]);
  try {
    await program.parseAsync(args, { from: "user" });
    return 0;
  } catch (error) {
    return report(error);
  }
}

async function createProgram(loaders: readonly (() => Promise<Command>)[]): Promise<Command> {
  const program = new Command("bmaas")
    .description("Bare-metal machine database and agent callback server")
    .version(readVersion(), "--version", "print the version")
    .addHelpText("after", exitStatusHelp)
    // Options that follow a command's name are that command's, also where the one above has one of the same name.
    .enablePositionalOptions()
    .exitOverride();
  for (const load of loaders) program.addCommand(overrideExit(await load()));
  return program;
}

/** Commander ends the process on wrong usage unless every command in the tree is told not to. */
function overrideExit(command: Command): Command {
  for (const subcommand of command.commands) overrideExit(subcommand);
  return command.exitOverride();
}

function report(error: unknown): number {
  // Commander has printed its message, or the help that was asked for.
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : exitStatus.usage;
  for (const line of explainError(error).split("\n")) process.stderr.write(`bmaas: ${line}\n`);
  if (error instanceof CommandFailure) return error.status;
  return error instanceof OperatorError ? exitStatus.usage : exitStatus.failed;
}

// Whoever read the output, `head` for example, has seen enough.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
  process.exit();
});
process.exitCode = await main(process.argv.slice(2));
