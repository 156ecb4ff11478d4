/** Keys that do something on every page, those of the open page, and the list of both that `?` shows. */
import { useEffect, useEffectEvent, useState } from "react";
import { Dialog } from "./dialog.tsx";

/** A key and what it does. */
export interface KeyAction {
  /** As KeyboardEvent.key has it. */
  readonly key: string;
  /** What it does, for the list of keys. */
  readonly description: string;
  readonly run: () => void;
}

const registered = new Set<KeyAction>();

/** Adds keys for as long as the component is mounted. They do nothing while somebody types or a dialog is open. */
export function useKeys(actions: readonly KeyAction[]): void {
  const run = useEffectEvent((key: string) => actions.find((action) => action.key === key)?.run());
  const names = actions.map(({ key, description }) => `${key} ${description}`).join("\n");
  useEffect(() => {
    const added = names.split("\n").map((line) => {
      const [key = "", ...words] = line.split(" ");
      return { key, description: words.join(" "), run: () => run(key) };
    });
    for (const action of added) registered.add(action);
    return () => {
      for (const action of added) registered.delete(action);
    };
  }, [names]);
}

/** Marks the field that `/` leads to: `<input {...findField} />`. */
export const findField = { "data-find": "" } as const;

/** Listens for keys, and shows the list of them. The shell has one. */
export function Keyboard() {
  const [isListed, setIsListed] = useState(false);
  useKeys([
    { key: "/", description: "find: go to the filter or the search of the page", run: focusFind },
    { key: "?", description: "list the keys", run: () => setIsListed(true) },
  ]);
  useEffect(() => {
    const listen = (event: KeyboardEvent) => {
      if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || isTaken(event.target)) return;
      const action = [...registered].findLast(({ key }) => key === event.key);
      if (action === undefined) return;
      event.preventDefault();
      action.run();
    };
    window.addEventListener("keydown", listen);
    return () => window.removeEventListener("keydown", listen);
  }, []);
  if (!isListed) return null;
  return (
    <Dialog title="Keys" onClose={() => setIsListed(false)}>
      <dl>
        {[...registered].map(({ key, description }) => (
          <div key={`${key} ${description}`} className="key-row">
            <dt>
              <kbd>{key === "Enter" ? "↵ Enter" : key}</kbd>
            </dt>
            <dd>{description}</dd>
          </div>
        ))}
      </dl>
    </Dialog>
  );
}

function focusFind(): void {
  const field = document.querySelector<HTMLInputElement>("main [data-find]");
  field?.focus();
  field?.select();
}

/** Whether the key belongs to a field, or a dialog is open. */
function isTaken(target: EventTarget | null): boolean {
  if (document.querySelector("dialog[open]") !== null) return true;
  if (!(target instanceof HTMLElement)) return false;
  if (target.isContentEditable || target instanceof HTMLTextAreaElement || target instanceof HTMLSelectElement)
    return true;
  return target instanceof HTMLInputElement && !["checkbox", "radio", "button"].includes(target.type);
}
