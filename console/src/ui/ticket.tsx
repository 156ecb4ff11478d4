/** Where the work on a machine is tracked. */
import { revealHidden, SafeText } from "./safe-text.tsx";

/** Most characters that are shown. */
const limit = 40;

/** Leads to the ticket if it is an address of the web; whatever else it is, it stays text. */
export function Ticket({ text }: { readonly text: string }) {
  if (!/^https?:\/\//.test(text)) return <SafeText text={text} limit={limit} />;
  return (
    <a href={text} target="_blank" rel="noreferrer" title={text}>
      {revealHidden(text.length > limit ? `${text.slice(0, limit)}…` : text)}
    </a>
  );
}
