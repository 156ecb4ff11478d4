import type { Command } from "commander";
import { expect, test } from "vitest";
import { type Remedy, remedies } from "../../../src/admin/machine/remedies.ts";
import { agentCommand } from "../../../src/cli/agent.ts";
import { agentsCommand } from "../../../src/cli/agents.ts";
import { enrolmentsCommand } from "../../../src/cli/enrolments.ts";
import { hardwareCommand } from "../../../src/cli/hardware.ts";
import { historyCommand } from "../../../src/cli/history.ts";
import { installCommand } from "../../../src/cli/install.ts";
import { machinesCommand } from "../../../src/cli/machines.ts";

const commands = [
  agentCommand,
  agentsCommand,
  enrolmentsCommand,
  hardwareCommand,
  historyCommand,
  installCommand,
  machinesCommand,
];
const machineId = "4b9f3a52-2f0c-4a53-9d0e-6f1f3f1f9c11";
const advised = Object.entries<Remedy>(remedies).flatMap(([name, { command }]) =>
  command === undefined ? [] : [[name, command(machineId)] as const],
);

/** The command that the words lead to, and what remains of them; undefined when there is none. */
function follow(commands: readonly Command[], [name, ...rest]: readonly string[]): [Command, string[]] | undefined {
  const command = commands.find((each) => each.name() === name);
  return command && (follow(command.commands, rest) ?? [command, rest]);
}

test.each(advised)("%s names a command that there is, with options that it has: %s", (_, text) => {
  const [program, ...words] = text.split(" ");
  expect(program).toBe("bmaas");
  const found = follow(
    commands.map((make) => make()),
    words,
  );
  expect(found).toBeDefined();
  const [command, rest] = found as [Command, string[]];
  const positional: string[] = [];
  for (const [index, word] of rest.entries()) {
    const option = command.options.find(({ long }) => long === word);
    if (word.startsWith("--")) expect(option, word).toBeDefined();
    else if (!command.options.some(({ long, required }) => required && long === rest[index - 1])) positional.push(word);
  }
  const taken = command.registeredArguments;
  expect(positional.length).toBeGreaterThanOrEqual(taken.filter(({ required }) => required).length);
  expect(positional.length).toBeLessThanOrEqual(taken.some(({ variadic }) => variadic) ? 99 : taken.length);
  expect(text).toContain(machineId);
});
