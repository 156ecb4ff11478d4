/** The tree of all commands. */
import { Command } from "commander";
import { readVersion } from "../base/version.ts";

/** Loaded when asked for, so that the agent does not carry the server. */
const commands: Readonly<Record<string, () => Promise<Command>>> = {
  serve: async () => (await import("./serve.ts")).serveCommand(),
  migrate: async () => (await import("./migrate.ts")).migrateCommand(),
  seed: async () => (await import("./seed.ts")).seedCommand(),
  agent: async () => (await import("./agent.ts")).agentCommand(),
  machines: async () => (await import("./machines.ts")).machinesCommand(),
  agents: async () => (await import("./agents.ts")).agentsCommand(),
  install: async () => (await import("./install.ts")).installCommand(),
  history: async () => (await import("./history.ts")).historyCommand(),
  hardware: async () => (await import("./hardware.ts")).hardwareCommand(),
  tokens: async () => (await import("./tokens.ts")).tokensCommand(),
  status: async () => (await import("./status.ts")).statusCommand(),
  demo: async () => (await import("./demo.ts")).demoCommand(),
  simulate: async () => (await import("./simulate.ts")).simulateCommand(),
  completion: async () => (await import("./completion.ts")).completionCommand(() => createProgram()),
};

const exitStatusHelp = `
bmaas COMMAND --help shows options and examples.
Exit status: 0 done, 1 failed, 2 wrong usage, configuration or input; commands that call a server have more.`;

/** Makes the program with the command of that name alone, or with all of them when there is none or no name is given. */
export async function createProgram(name = ""): Promise<Command> {
  const program = new Command("bmaas")
    .description("Bare-metal machine database and agent callback server")
    .version(readVersion(), "--version", "print the version")
    .addHelpText("after", exitStatusHelp)
    // Options that follow a command's name are that command's, also where the one above has one of the same name.
    .enablePositionalOptions()
    .exitOverride();
  const wanted = Object.hasOwn(commands, name) ? commands[name] : undefined;
  for (const load of wanted === undefined ? Object.values(commands) : [wanted]) {
    program.addCommand(overrideExit(await load()));
  }
  return program;
}

/** Commander ends the process on wrong usage unless every command in the tree is told not to. */
function overrideExit(command: Command): Command {
  for (const subcommand of command.commands) overrideExit(subcommand);
  return command.exitOverride();
}
