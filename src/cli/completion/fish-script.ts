/** The completion script for fish. */
import type { CommandNode, OptionNode, Values } from "./command-tree.ts";

/** Returns the script. */
export function writeFishScript(nodes: readonly CommandNode[]): string {
  return `# fish completion for bmaas

# The command that the words before the cursor name, such as "bmaas machines list".
function __bmaas_command
    set -l command bmaas
    set -l skip 0
    for word in (commandline -opc)[2..-1]
        if test $skip = 1
            set skip 0
            continue
        end
        switch "$command $word"
            case ${nodes.flatMap(listOptionsWithValues).map(quote).join(" ")}
                set skip 1
            case ${nodes.map(({ path }) => quote(path)).join(" ")}
                set command "$command $word"
        end
    end
    echo $command
end

# Completes the last of a list of words with commas between.
function __bmaas_terms
    set -l before (string match -r '^.*,' -- (commandline -ct | string replace -r '^--[a-z-]+=' ''))
    test -n "$before"; or set before ''
    printf '%s\\n' $before$argv
end

complete -c bmaas -f
${nodes.flatMap(describeNode).join("\n")}
`;
}

function listOptionsWithValues({ path, options }: CommandNode): string[] {
  return options.flatMap(({ names, values }) => (values === undefined ? [] : names.map((name) => `${path} ${name}`)));
}

function describeNode(node: CommandNode): string[] {
  const start = `complete -c bmaas -n ${quote(`test (__bmaas_command) = ${quote(node.path)}`)}`;
  return [
    ...node.subcommands.map(({ name, description }) => `${start} -a ${quote(name)} -d ${quote(description)}`),
    ...(node.values.kind === "anything" ? [] : [`${start} ${describeValues(node.values)}`]),
    ...node.options.map((option) => `${start} ${describeOption(option)}`),
  ];
}

function describeOption({ names, description, values }: OptionNode): string {
  const spelled = names.map((name) => (name.startsWith("--") ? `-l ${name.slice(2)}` : `-s ${name.slice(1)}`));
  const value = values === undefined ? [] : [values.kind === "files" ? "-r" : "-x", describeValues(values)];
  return [...spelled, ...value, `-d ${quote(description)}`].filter((part) => part !== "").join(" ");
}

function describeValues(values: Values): string {
  switch (values.kind) {
    case "words":
      return `-a ${quote(values.words.join(" "))}`;
    case "terms":
      return `-a ${quote(`(__bmaas_terms ${values.words.join(" ")})`)}`;
    case "files":
      return "-F";
    default:
      return "";
  }
}

/** Quotes a text. In single quotes, fish knows only these two escapes. */
function quote(text: string): string {
  return `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
}
