/** What the commands say of themselves, and whether what they and the server advise can be typed. */
import { type Command, Help } from "commander";
import { describe, expect, test } from "vitest";
import { remedies } from "../../src/admin/machine/remedies.ts";
import { createProgram } from "../../src/cli/program.ts";
import { type Setting, settings } from "../../src/config/config.ts";

const program = await createProgram();

function listCommands(command: Command): Command[] {
  return [command, ...command.commands.flatMap(listCommands)];
}

function pathOf(command: Command): string {
  return command.parent === null ? command.name() : `${pathOf(command.parent)} ${command.name()}`;
}

/** Returns whether a command does something itself, and is not just the way to others. */
function actsItself(command: Command): boolean {
  return command.commands.length === 0 || command.name() === "agent" || command.name() === "hardware";
}

const actors = listCommands(program).filter(actsItself);

function helpOf(command: Command): string {
  let help = "";
  command.configureOutput({
    writeOut: (text) => {
      help += text;
    },
  });
  command.outputHelp();
  return help;
}

/** A command that stands for each kind of command that reads settings. */
const readers = { serve: "serve", migrate: "migrate", seed: "seed", agent: "agent", operators: "status" } as const;

test("every setting's flag is offered by the commands that read it, and by no other", () => {
  for (const setting of Object.values<Setting>(settings)) {
    const offering = Object.entries(readers).filter(([, name]) =>
      program.commands.some((command) => {
        return command.name() === name && command.options.some((option) => option.long === setting.flag);
      }),
    );
    const expected = setting.flag === undefined ? [] : setting.commands;
    expect(offering.map(([reader]) => reader).sort(), setting.variable).toEqual([...expected].sort());
  }
});

/** The examples of a help text, each on one line: continued ones are joined. */
function listExamples(help: string): string[] {
  const block = /\nExamples?\b.*:\n((?: {2}.*\n?)+)/.exec(help)?.[1] ?? "";
  return block
    .replaceAll(/\\\n +/g, "")
    .replaceAll(/\|\n +/g, "| ")
    .trim()
    .split(/\n +/);
}

/** RFC 8032, section 7.1, test 1. */
const publicKey = "4583385fcbd3362e60adcf82dfb6d7e0919512bafbf915272c27579a80b05be1";

/** Throws unless the program takes every command line of its own in a line for a shell. */
async function assertTypable(line: string): Promise<void> {
  const substituted = [...line.matchAll(/\$\((bmaas .*?)\)/g)].map(([, inner = ""]) => inner);
  // What stands for the output of a command is a public key, where it is an argument.
  const outer = line.replaceAll(/"?\$\(bmaas .*?\)"?/g, publicKey).replace(/^source <\((.*)\)/, "$1");
  const [, command] = /^(?:[A-Z_]+=\S+ )*(bmaas .*)$/.exec(outer) ?? [];
  const lines = command === undefined ? substituted : [...substituted, command];
  expect(lines, line).not.toEqual([]);
  for (const each of lines) await parse(splitWords(each.replace(/ (?:\||#|<|>|&&) .*$/, "")).slice(1));
}

async function parse(words: string[]): Promise<void> {
  const fresh = await createProgram();
  for (const command of listCommands(fresh)) {
    command.exitOverride().configureOutput({ writeErr: () => {} });
    if (actsItself(command)) command.action(() => {});
  }
  await fresh.parseAsync(words, { from: "user" });
}

function splitWords(text: string): string[] {
  const words = text.matchAll(/'([^']*)'|"([^"]*)"|(\S+)/g);
  return [...words].map(([, single, double, plain]) => single ?? double ?? plain ?? "");
}

describe.each(actors.map((command) => [pathOf(command), command] as const))("%s", (path, command) => {
  const help = helpOf(command);

  test("says what it does, and how it is used", () => {
    expect(help).toMatch(new RegExp(`^Usage: ${path} `));
    expect(command.description()).toMatch(/^[a-z].*[^.]$/);
  });

  test("has examples that can be typed", async () => {
    const examples = listExamples(help);
    expect(examples).not.toEqual([""]);
    expect(examples.join("\n")).toContain(path);
    for (const example of examples) await assertTypable(example);
  });
});

test("a duration that is taken by default has a unit", () => {
  const durations = actors.flatMap(({ options }) => options.filter(({ flags }) => flags.endsWith("<duration>")));
  expect(durations.length).toBeGreaterThan(5);
  for (const { flags, defaultValue, defaultValueDescription } of durations) {
    if (defaultValue !== undefined) expect(defaultValueDescription, flags).toMatch(/^\d+[smhd]$/);
  }
});

test("the program's help says of commands what they are, whether or not they are loaded", async () => {
  for (const command of program.commands) {
    expect(program.createHelp().subcommandTerm(command)).toBe(new Help().subcommandTerm(command));
  }
  expect(helpOf(await createProgram([]))).toBe(helpOf(program));
  const loadsOne = await createProgram(["--", "status", "--help"]);
  expect(helpOf(loadsOne)).toBe(helpOf(program));
  expect(loadsOne.commands.filter(({ options }) => options.length > 0).map((command) => command.name())).toEqual([
    "status",
  ]);
});

test("the exit statuses are told by every command that calls a server", () => {
  const callers = actors.filter((command) => command.options.some(({ long }) => long === "--admin-url"));
  expect(callers.length).toBeGreaterThan(20);
  for (const command of callers) expect(helpOf(command), pathOf(command)).toMatch(/\nExit status: 0 done.*; 1 .*; 2 /s);
});

test("every command that an explanation advises can be typed", async () => {
  const id = "4b9f3a52-2f0c-4a53-9d0e-6f1f3f1f9c11";
  const advised = Object.values(remedies).flatMap((remedy) => ("command" in remedy ? [remedy.command(id)] : []));
  expect(advised.length).toBeGreaterThan(5);
  const fill = {
    PUBLIC_KEY: publicKey,
    URL: "https://images.example/os.img",
    DIGEST: `sha256:${"ab".repeat(32)}`,
    DEVICE: "sda",
    ENROLMENT_ID: id,
  };
  for (const line of advised) {
    const filled = line.replaceAll(/[A-Z_]{3,}/g, (name) => fill[name as keyof typeof fill] ?? "value");
    await assertTypable(filled);
  }
});
