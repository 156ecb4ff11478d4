/** The completion script for bash 3.2 and later. */
import type { CommandNode, OptionNode, Values } from "./command-tree.ts";

/** Returns the script. */
export function writeBashScript(nodes: readonly CommandNode[]): string {
  return `# bash completion for bmaas

# What can follow a command: subcommands, or how its arguments are completed.
_bmaas_after() {
  case "$1" in
${nodes.map((node) => `    ${quote(node.path)}) ${describeFollowers(node)} ;;`).join("\n")}
  esac
}

# The options of a command.
_bmaas_options() {
  case "$1" in
${nodes.map((node) => `    ${quote(node.path)}) echo ${quote(node.options.flatMap(({ names }) => names).join(" "))} ;;`).join("\n")}
  esac
}

# How the value of an option is completed; nothing for one that takes none.
_bmaas_values() {
  case "$1" in
${nodes.flatMap((node) => node.options.flatMap((option) => describeOption(node, option))).join("\n")}
  esac
}

_bmaas() {
  local line=\${COMP_LINE:0:$COMP_POINT} command=bmaas option= word spec cur kind prefix= i
  local -a words
  read -ra words <<< "$line"
  case "$line" in *[[:space:]]) words+=("") ;; esac
  cur=\${words[\${#words[@]}-1]}
  for ((i = 1; i < \${#words[@]} - 1; i++)); do
    word=\${words[i]}
    if [ -n "$option" ]; then option=; continue; fi
    case "$word" in
      -*=*) ;;
      -*) if [ -n "$(_bmaas_values "$command $word")" ]; then option=$word; fi ;;
      *) if [ -n "$(_bmaas_options "$command $word")" ]; then command="$command $word"; fi ;;
    esac
  done
  if [ -z "$option" ]; then
    case "$cur" in
      -*=*) option=\${cur%%=*} cur=\${cur#*=} ;;
      -*) COMPREPLY=($(compgen -W "$(_bmaas_options "$command")" -- "$cur")); return ;;
    esac
  fi
  if [ -n "$option" ]; then spec=$(_bmaas_values "$command $option"); else spec=$(_bmaas_after "$command"); fi
  kind=\${spec%% *} spec=\${spec#* }
  COMPREPLY=()
  case "$kind" in
    files) COMPREPLY=($(compgen -f -- "$cur")); compopt -o filenames 2> /dev/null ;;
    words) COMPREPLY=($(compgen -W "$spec" -- "$cur")) ;;
    terms)
      case "$cur" in *,*) prefix=\${cur%,*}, ;; esac
      COMPREPLY=($(compgen -P "$prefix" -W "$spec" -- "\${cur#"$prefix"}"))
      case "\${COMPREPLY[0]}" in *=) compopt -o nospace 2> /dev/null ;; esac
      # Where bash breaks words at "=", it replaces what follows the last one only.
      case "$COMP_WORDBREAKS:$cur" in
        *=*:*=*) prefix=\${cur%"\${cur##*=}"}; COMPREPLY=("\${COMPREPLY[@]#"$prefix"}") ;;
      esac
      ;;
  esac
}

complete -F _bmaas bmaas
`;
}

function describeFollowers(node: CommandNode): string {
  if (node.subcommands.length > 0)
    return `echo ${quote(`words ${node.subcommands.map(({ name }) => name).join(" ")}`)}`;
  return `echo ${quote(describeValues(node.values))}`;
}

function describeOption(node: CommandNode, { names, values }: OptionNode): string[] {
  if (values === undefined) return [];
  return names.map((name) => `    ${quote(`${node.path} ${name}`)}) echo ${quote(describeValues(values))} ;;`);
}

function describeValues(values: Values): string {
  return "words" in values ? `${values.kind} ${values.words.join(" ")}` : values.kind;
}

function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
