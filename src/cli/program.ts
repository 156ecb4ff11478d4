/** The tree of all commands. Each command is loaded when it is needed. */
import { Command, Help } from "commander";
import { readVersion } from "../base/version.ts";

/** A command's entry in the program's help, and how to load the command. */
interface CommandEntry {
  readonly description: string;
  /** Text after its name in the list of commands; absent for a command that only has subcommands. */
  readonly usage?: string;
  /** Creates the command, without its description. */
  readonly load: () => Promise<Command>;
}

const commands: Readonly<Record<string, CommandEntry>> = {
  serve: {
    description: "run the server: the listeners for agents and operators, on one PostgreSQL",
    usage: "[options]",
    load: async () => (await import("./serve.ts")).serveCommand(),
  },
  migrate: {
    description: "apply pending database migrations; servers also do this when they start",
    usage: "[options]",
    load: async () => (await import("./migrate.ts")).migrateCommand(),
  },
  seed: {
    description: "create and change machines, agents' keys and installations from a YAML or JSON file",
    usage: "[options] <file>",
    load: async () => (await import("./seed.ts")).seedCommand(),
  },
  agent: {
    description: "run the agent on this machine: heartbeat, report the hardware, install what is requested",
    usage: "[options]",
    load: async () => (await import("./agent.ts")).agentCommand(),
  },
  machines: {
    description: "create, find, watch, explain and delete machines",
    load: async () => (await import("./machines.ts")).machinesCommand(),
  },
  agents: {
    description: "register, replace and revoke agents' keys",
    load: async () => (await import("./agents.ts")).agentsCommand(),
  },
  enrolments: {
    description: "list, show, approve, reject and forget agents that ask to be let in",
    load: async () => (await import("./enrolments.ts")).enrolmentsCommand(),
  },
  "join-tokens": {
    description: "create, list and revoke the tokens that let agents in",
    load: async () => (await import("./join-tokens.ts")).joinTokensCommand(),
  },
  install: {
    description: "request, follow, retry and cancel OS installations",
    load: async () => (await import("./install.ts")).installCommand(),
  },
  history: {
    description: "show what happened to the fleet or to a machine and who did it, newest first; also if it is deleted",
    usage: "[options] [machine-id]",
    load: async () => (await import("./history.ts")).historyCommand(),
  },
  hardware: {
    description: "show a machine's hardware and how it changed, and find where a part is",
    usage: "[options] <machine-id>",
    load: async () => (await import("./hardware.ts")).hardwareCommand(),
  },
  issues: {
    description: "list what is wrong with machines and since when, the most urgent first",
    usage: "[options]",
    load: async () => (await import("./issues.ts")).issuesCommand(),
  },
  tokens: {
    description: "create, list and revoke the tokens of operators and programs",
    load: async () => (await import("./tokens.ts")).tokensCommand(),
  },
  receivers: {
    description: "create, list, probe and delete receivers: HTTPS endpoints that are sent events",
    load: async () => (await import("./receivers.ts")).receiversCommand(),
  },
  status: {
    description: "show the fleet in numbers and what needs attention",
    usage: "[options]",
    load: async () => (await import("./status.ts")).statusCommand(),
  },
  demo: {
    description: "show one installation from request to report, on a temporary server",
    load: async () => (await import("./demo.ts")).demoCommand(),
  },
  simulate: {
    description: "run a fleet of simulated agents against a server; they only pretend to install",
    usage: "[options]",
    load: async () => (await import("./simulate.ts")).simulateCommand(),
  },
  completion: {
    description: "print a script that completes commands, options and values in a shell",
    usage: "<shell>",
    load: async () => (await import("./completion.ts")).completionCommand(() => createProgram()),
  },
};

const exitStatusHelp = `
bmaas COMMAND --help shows options and examples.
Exit status: 0 done, 1 failed, 2 wrong usage, configuration or input; commands that call a server have more.`;

/**
 * Creates the program that can parse `args`. It loads the command that they name; other commands have only their entry
 * in the program's help. Without `args`, it loads all commands.
 */
export async function createProgram(args?: readonly string[]): Promise<Command> {
  const program = new Command("bmaas")
    .description("Bare-metal machine database and agent callback server")
    .version(readVersion(), "--version", "print the version")
    .addHelpText("after", exitStatusHelp)
    // Options after a command's name belong to that command, even if the command above has an option of the same name.
    .enablePositionalOptions()
    .configureHelp({ subcommandTerm: describeTerm })
    .exitOverride();
  // No option of the program has a value, so the first word that names a command is the command to run or to show help
  // for.
  const wanted = args?.find((word) => Object.hasOwn(commands, word));
  for (const [name, { description, load }] of Object.entries(commands)) {
    const command = args === undefined || name === wanted ? await load() : new Command(name);
    program.addCommand(overrideExit(command.description(description)));
  }
  return program;
}

/** Returns a command's entry in the program's help, whether or not it is loaded. */
function describeTerm(command: Command): string {
  const entry = commands[command.name()];
  if (entry === undefined) return new Help().subcommandTerm(command);
  return entry.usage === undefined ? command.name() : `${command.name()} ${entry.usage}`;
}

/** Prevents commander from ending the process on wrong usage, which must be set for every command in the tree. */
function overrideExit(command: Command): Command {
  for (const subcommand of command.commands) overrideExit(subcommand);
  return command.exitOverride();
}
