/** Copies text: a command that does the same as the page, or an id. */
import { useState } from "react";

/** How long the button says that it has copied, in milliseconds. */
const thanksMs = 2_000;

/** A button that copies `text` as it is. What is long is made only when it is copied. */
export function CopyButton(props: { readonly text: string | (() => string); readonly label?: string }) {
  const { label = "Copy" } = props;
  const [state, setState] = useState<"ready" | "copied" | "failed">("ready");
  const copy = async (button: HTMLElement) => {
    const text = typeof props.text === "string" ? props.text : props.text();
    try {
      await navigator.clipboard.writeText(text);
      setState("copied");
    } catch {
      // Browsers have no clipboard for pages over plain HTTP from another machine.
      setState(copyBySelection(text, button) ? "copied" : "failed");
    }
    window.setTimeout(() => setState("ready"), thanksMs);
  };
  return (
    <button type="button" className="copy" onClick={({ currentTarget }) => void copy(currentTarget)}>
      {state === "ready" ? label : state === "copied" ? "Copied" : "Cannot copy here"}
    </button>
  );
}

/** A command that does what the page offers, for the terminal. */
export function CopyableCommand({ command }: { readonly command: string }) {
  return (
    <div className="copyable">
      <code>{command}</code>
      <CopyButton text={command} />
    </div>
  );
}

/** Copies what is selected in a field beside the button: a dialog keeps everything outside it from being selected. */
function copyBySelection(text: string, button: HTMLElement): boolean {
  const area = document.createElement("textarea");
  area.value = text;
  area.className = "visually-hidden";
  button.after(area);
  // In some browsers this moves the focus.
  area.select();
  const isCopied = document.execCommand("copy");
  button.focus();
  area.remove();
  return isCopied;
}
