/**
 * `bmaas completion`: prints a script with which a shell completes this program's commands, options and values. The
 * script never runs the program.
 */
import { existsSync, readFileSync } from "node:fs";
import { Argument, Command } from "commander";
import { writeBashScript } from "./completion/bash-script.ts";
import type { CommandNode } from "./completion/command-tree.ts";
import { writeFishScript } from "./completion/fish-script.ts";
import { writeZshScript } from "./completion/zsh-script.ts";
import { formatExamples } from "./examples.ts";

const writers: Readonly<Record<string, (nodes: readonly CommandNode[]) => string>> = {
  bash: writeBashScript,
  zsh: writeZshScript,
  fish: writeFishScript,
};

const examples = [
  "source <(bmaas completion bash)    # or zsh, for this shell",
  "bmaas completion bash > ~/.local/share/bash-completion/completions/bmaas",
  "bmaas completion zsh > ~/.zfunc/_bmaas    # where ~/.zfunc is in fpath",
  "bmaas completion fish > ~/.config/fish/completions/bmaas.fish",
];

/** Creates the command `bmaas completion`. `loadProgram` returns the whole tree of commands. */
export function completionCommand(loadProgram: () => Promise<Command>): Command {
  return new Command("completion")
    .addArgument(new Argument("<shell>", "which shell").choices(Object.keys(writers)))
    .addHelpText(
      "after",
      `${formatExamples(...examples)}\n\nRegenerate the script after an upgrade. It calls no server.`,
    )
    .action(async (shell: string) => {
      process.stdout.write(writers[shell]?.(findBundledTree() ?? (await readTree(loadProgram))) ?? "");
    });
}

/**
 * Returns the tree that a bundle contains, since reading it from the commands loads all of them. Returns undefined
 * outside a bundle.
 */
function findBundledTree(): CommandNode[] | undefined {
  const file = new URL("command-tree.json", import.meta.url);
  return existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as CommandNode[]) : undefined;
}

async function readTree(loadProgram: () => Promise<Command>): Promise<CommandNode[]> {
  const { readCommandTree } = await import("./completion/command-tree.ts");
  return readCommandTree(await loadProgram());
}
