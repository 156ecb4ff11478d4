/** Keys that do something on every page, those of the open page, and the list of both that `?` shows. */
import { useNavigate } from "@tanstack/react-router";
import { useEffect, useEffectEvent, useState } from "react";
import { Dialog } from "./dialog.tsx";

/** A key and what it does. */
export interface KeyAction {
  /** As KeyboardEvent.key has it. */
  readonly key: string;
  /** What it does, for the list of keys. */
  readonly description: string;
  readonly run: () => void;
  /** Whether it is this one that acts, where several have the key. Default: yes. */
  readonly isMeant?: () => boolean;
}

const registered = new Set<KeyAction>();

/** Adds keys for as long as the component is mounted. They do nothing while somebody types or a dialog is open. */
export function useKeys(actions: readonly KeyAction[]): void {
  const find = (key: string) => actions.find((action) => action.key === key);
  const run = useEffectEvent((key: string) => find(key)?.run());
  const isMeant = useEffectEvent((key: string) => find(key)?.isMeant?.() !== false);
  const names = actions.map(({ key, description }) => `${key} ${description}`).join("\n");
  useEffect(() => {
    const added = names.split("\n").map((line) => {
      const [key = "", ...words] = line.split(" ");
      return { key, description: words.join(" "), run: () => run(key), isMeant: () => isMeant(key) };
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
  const navigate = useNavigate();
  const openFind = () => void navigate({ to: "/find" }).then(focusFind);
  useKeys([
    { key: "/", description: "find: go to the filter or the search of the page", run: focusFind },
    { key: "f", description: "find a machine or a part by a serial number, an address or an id", run: openFind },
    { key: "?", description: "list the keys", run: () => setIsListed(true) },
  ]);
  useEffect(() => {
    const listen = (event: KeyboardEvent) => {
      if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || isTaken(event)) return;
      const action = [...registered].findLast(({ key, isMeant }) => key === event.key && isMeant?.() !== false);
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
        {listOnce([...registered]).map(({ key, description }) => (
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

/** Returns the keys without those of a second list on the page, which do the same there. */
function listOnce(actions: readonly KeyAction[]): readonly KeyAction[] {
  return [...new Map(actions.map((action) => [`${action.key} ${action.description}`, action])).values()];
}

function focusFind(): void {
  const field = document.querySelector<HTMLInputElement>("main [data-find]");
  field?.focus();
  field?.select();
}

/** Whether the key belongs to what has the focus, or a dialog is open. */
function isTaken({ key, target }: KeyboardEvent): boolean {
  if (document.querySelector("dialog[open]") !== null) return true;
  if (!(target instanceof HTMLElement)) return false;
  // Enter is what links and buttons are used with.
  if (key === "Enter" && target.closest("a, button, summary, [role^=menuitem]") !== null) return true;
  if (target.isContentEditable || target instanceof HTMLTextAreaElement || target instanceof HTMLSelectElement)
    return true;
  return target instanceof HTMLInputElement && !["checkbox", "radio", "button"].includes(target.type);
}
