/**
 * Text that agents, providers and operators write: shown as text whatever it holds, cut where it is long, and copyable
 * whole. Control characters and those that reorder text are shown by their numbers.
 */
import { CopyButton } from "./copy.tsx";

/** Most characters that are shown of a text. */
const defaultLimit = 300;

/** Characters that would be invisible, or that would change how others are read. */
const hidden =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are the characters that must not reach the page.
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\uffff]/g;

/** Returns a text with each hidden character as its number, such as "\u{1b}". */
export function revealHidden(text: string): string {
  return text.replace(hidden, (character) => `\\u{${character.charCodeAt(0).toString(16)}}`);
}

/** Shows a text that somebody else has written. `limit` is the number of characters after which it is cut. */
export function SafeText({ text, limit = defaultLimit }: { readonly text: string; readonly limit?: number }) {
  if (text === "") return null;
  const isCut = text.length > limit;
  const shown = revealHidden(isCut ? cut(text, limit) : text);
  return (
    <span className="safe-text">
      {shown}
      {isCut && (
        <>
          … <CopyButton text={text} label={`Copy all ${text.length.toLocaleString()} characters`} />
        </>
      )}
    </span>
  );
}

/** Shows who did something. Of an agent's key, which the page of its machine shows in full, it shows the beginning. */
export function Actor({ name }: { readonly name: string }) {
  return <SafeText text={name.replace(/^(agent:[0-9a-f]{12})[0-9a-f]{52}$/, "$1…")} limit={80} />;
}

/** Does not cut a character of two units in half. */
function cut(text: string, limit: number): string {
  const last = text.charCodeAt(limit - 1);
  return text.slice(0, last >= 0xd800 && last <= 0xdbff ? limit - 1 : limit);
}
