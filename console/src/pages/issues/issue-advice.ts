/** What docs/issues.md says of a type of issues: the file itself is a part of the console. */
import text from "../../../../docs/issues.md?raw";

/** A point of a section, such as "Do". */
export interface Advice {
  readonly name: string;
  readonly text: string;
}

/** Returns the points about a type; none for a type that only a newer server knows. */
export function findAdvice(type: string): Advice[] {
  const section = text.split(/^## /m).find((each) => each.startsWith(`${type}\n`)) ?? "";
  return section
    .split(/^- /m)
    .slice(1)
    .flatMap((point) => {
      const [, name, words] = /^\*\*(.+?)\*\*:?\s*(.*)$/s.exec(point) ?? [];
      return name === undefined || words === undefined ? [] : [{ name, text: toPlain(words) }];
    });
}

function toPlain(markdown: string): string {
  return markdown
    .replaceAll(/\[([^\]]*)\]\([^)]*\)/g, "$1")
    .replaceAll(/\s*\n\s*/g, " ")
    .trim();
}
