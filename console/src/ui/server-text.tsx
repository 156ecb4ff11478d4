/** Text that the server words, such as an explanation. The server writes times in UTC; the page shows the reader's. */
import { SafeText } from "./safe-text.tsx";
import { Time } from "./time.tsx";

/** More than the server says of a machine, so that what it says is not cut. */
const defaultLimit = 4_000;

/** A time as the server writes it: "2026-03-01 12:00:00Z". */
const instant = /(\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ)/;

/** The space between a number and a unit, as the server writes them: "12 min", "960 GB", "40 %". */
const beforeUnit = /(?<=\d) (?=(?:d|h|min|s|ms|[KMGT]i?B|B|%)(?!\w))/g;

/** Keeps lines from ending between a number and its unit. */
function keepUnits(text: string): string {
  return text.replace(beforeUnit, "\u00a0");
}

/** Shows the text with its times in the reader's zone. */
export function ServerText({ text, limit = defaultLimit }: { readonly text: string; readonly limit?: number }) {
  if (text.length > limit) return <SafeText text={text} limit={limit} />;
  return text.split(instant).map((part, index) => {
    const date = index % 2 === 1 ? new Date(part.replace(" ", "T")) : undefined;
    const isTime = date !== undefined && !Number.isNaN(date.getTime());
    // biome-ignore lint/suspicious/noArrayIndexKey: the parts of a text stay where they are.
    return isTime ? <Time key={index} at={date} /> : <SafeText key={index} text={keepUnits(part)} limit={limit} />;
  });
}
