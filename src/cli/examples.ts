/** How the help of every command shows examples. */

/** A heading and the command lines, each as it can be pasted; for `addHelpText("after", …)`. */
export function formatExamples(...lines: readonly string[]): string {
  return ["\nExamples:", ...lines.map((line) => `  ${line}`)].join("\n");
}
