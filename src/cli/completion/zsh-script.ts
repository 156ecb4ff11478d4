/** The completion script for zsh. */
import type { CommandNode, OptionNode, Values } from "./command-tree.ts";

/** Returns the script, to be sourced or put on fpath as _bmaas. */
export function writeZshScript(nodes: readonly CommandNode[]): string {
  return `#compdef bmaas
# zsh completion for bmaas

_bmaas_subcommands() {
  reply=()
  case "$1" in
${nodes
  .filter(({ subcommands }) => subcommands.length > 0)
  .map(describeSubcommands)
  .join("\n")}
  esac
}

_bmaas_options() {
  reply=()
  case "$1" in
${nodes.map(describeOptions).join("\n")}
  esac
}

# How a value is completed: after a command, or after a command and its option. Nothing for an option that takes none.
_bmaas_values() {
  reply=()
  case "$1" in
${nodes.flatMap(describeAllValues).join("\n")}
  esac
}

_bmaas() {
  local command=bmaas option= word kind i
  local -a reply
  for ((i = 2; i < CURRENT; i++)); do
    word=\${words[i]}
    if [[ -n $option ]]; then option=; continue; fi
    case $word in
      -*=*) ;;
      -*) _bmaas_values "$command $word"; (( \${#reply} )) && option=$word ;;
      *) _bmaas_options "$command $word"; (( \${#reply} )) && command="$command $word" ;;
    esac
  done
  if [[ -z $option && $PREFIX == -* ]]; then
    if [[ $PREFIX != *=* ]]; then
      _bmaas_options "$command"
      _describe -o option reply
      return
    fi
    option=\${PREFIX%%=*}
    compset -P '*='
  fi
  if [[ -z $option ]]; then
    _bmaas_subcommands "$command"
    if (( \${#reply} )); then _describe command reply; return; fi
  fi
  _bmaas_values "$command\${option:+ $option}"
  kind=\${reply[1]}
  shift reply
  case $kind in
    files) _files ;;
    words) compadd -a reply ;;
    terms) compset -P '*,'; compadd -S '' -a reply ;;
  esac
}

if [[ \${funcstack[1]} == _bmaas ]]; then _bmaas "$@"; else compdef _bmaas bmaas; fi
`;
}

function describeSubcommands({ path, subcommands }: CommandNode): string {
  const entries = subcommands.map(({ name, description }) => describe(name, description));
  return `    ${quote(path)}) reply=(${entries.join(" ")}) ;;`;
}

function describeOptions({ path, options }: CommandNode): string {
  const entries = options.flatMap(({ names, description }) => names.map((name) => describe(name, description)));
  return `    ${quote(path)}) reply=(${entries.join(" ")}) ;;`;
}

function describeAllValues({ path, values, options }: CommandNode): string[] {
  const ofOption = ({ names, values: own }: OptionNode) =>
    own === undefined ? [] : names.map((name) => describeValues(`${path} ${name}`, own));
  return [describeValues(path, values), ...options.flatMap(ofOption)];
}

function describeValues(after: string, values: Values): string {
  const words = "words" in values ? values.words : [];
  return `    ${quote(after)}) reply=(${[values.kind, ...words].map(quote).join(" ")}) ;;`;
}

/** Returns an entry for _describe: a word, a colon and a description. */
function describe(word: string, description: string): string {
  return quote(`${word.replaceAll(":", "\\:")}:${description}`);
}

function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
