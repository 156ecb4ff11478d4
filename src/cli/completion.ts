/** `bmaas completion`: a script that lets a shell complete this program's commands, options and values; it never runs the program. */
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

/** The command for main; `loadProgram` gives the whole tree of commands. */
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

/** A bundle brings the tree along, since reading it from the commands loads all of them; undefined outside of a bundle. */
function findBundledTree(): CommandNode[] | undefined {
  const file = new URL("command-tree.json", import.meta.url);
  return existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as CommandNode[]) : undefined;
}

async function readTree(loadProgram: () => Promise<Command>): Promise<CommandNode[]> {
  const { readCommandTree } = await import("./completion/command-tree.ts");
  return readCommandTree(await loadProgram());
}
