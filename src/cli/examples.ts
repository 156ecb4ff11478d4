/** Formats examples in the help of commands. */

/** Returns a heading and the command lines, ready to be pasted, for `addHelpText("after", …)`. */
export function formatExamples(...lines: readonly string[]): string {
  return ["\nExamples:", ...lines.map((line) => `  ${line}`)].join("\n");
}
