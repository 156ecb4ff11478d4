/**
 * What has the focus after a control that had it has left the page, as the button of a chip does, or one that tries
 * again. Browsers begin at the top of the page again, and screen readers with them.
 */
import { useEffect } from "react";

/** What had the focus. */
interface Holder {
  readonly element: Element;
  /** Whether the browser shows that it has the focus, as it does for those who use the keyboard. */
  readonly isShown: boolean;
}

/**
 * Gives the focus to what stands next to a control when that leaves the page with the focus: the next entry of its
 * list, the table that follows, the field of its form, or the heading above it. The shell does so for all pages.
 */
export function useFocusHeir(): void {
  useEffect(() => {
    let holder: Holder | undefined;
    const observer = new MutationObserver((records) => {
      if (holder === undefined || holder.element.isConnected) return;
      const { element, isShown } = holder;
      const place = findPlace(element, records);
      forget();
      // By then, dialogs have given the focus back to what opened them.
      if (place !== undefined) setTimeout(() => isFocusLost() && giveFocus(place, isShown));
    });
    const forget = () => {
      holder = undefined;
      observer.disconnect();
    };
    const remember = ({ target }: FocusEvent) => {
      if (!(target instanceof Element)) return;
      holder = { element: target, isShown: target.matches(":focus-visible") };
      observer.observe(document.body, { childList: true, subtree: true });
    };
    const leave = () => {
      // Some browsers say so of a control that is being removed, too.
      queueMicrotask(() => isFocusLost() && holder?.element.isConnected && forget());
    };
    document.addEventListener("focusin", remember);
    document.addEventListener("focusout", leave);
    return () => {
      forget();
      document.removeEventListener("focusin", remember);
      document.removeEventListener("focusout", leave);
    };
  }, []);
}

function isFocusLost(): boolean {
  return document.activeElement === null || document.activeElement === document.body;
}

/** Returns the removal that took the element away with it; the outermost, if there were several. */
function findPlace(element: Element, records: readonly MutationRecord[]): MutationRecord | undefined {
  let place: MutationRecord | undefined;
  let inside: Node = element;
  for (const record of records) {
    if (![...record.removedNodes].some((node) => node.contains(inside))) continue;
    place = record;
    inside = record.target;
  }
  return place;
}

function giveFocus(place: MutationRecord, isShown: boolean): void {
  const heir = findHeir(place, isShown);
  if (heir === undefined) return;
  const isControl = heir.matches(controls);
  if (!isControl) heir.tabIndex = -1;
  // A heading is read where it stands: the page may have been scrolled back to where somebody was.
  heir.focus({ preventScroll: !isShown || !isControl });
}

/** What takes the focus by itself. */
const controls = "a[href], button, input, select, textarea, [tabindex='0']";

/** Returns what is next to a place. A field opens the keyboard of a telephone, and is for those who use one only. */
function findHeir(place: MutationRecord, isKeyboard: boolean): HTMLElement | undefined {
  const find = (root: Node | null, selector: string) =>
    (root instanceof Element && root.isConnected && root.querySelector<HTMLElement>(selector)) || undefined;
  let at = place.target instanceof Element ? place.target : null;
  if (at?.matches("ul, ol")) {
    const neighbour = find(place.nextSibling, controls) ?? find(place.previousSibling, controls);
    if (neighbour !== undefined) return neighbour;
  }
  let after = place.nextSibling;
  for (; at?.closest("main, dialog"); after = at.nextSibling, at = at.parentElement) {
    const own = at.matches("[tabindex='0']") ? (at as HTMLElement) : undefined;
    const field = isKeyboard && at.matches("form") ? find(at, "input, select, textarea") : undefined;
    const heir = own ?? findFrame(after) ?? field ?? find(at, "h1, h2, h3");
    if (heir !== undefined) return heir;
  }
  return undefined;
}

/** Returns the first of the siblings that scrolls, as tables do. */
function findFrame(first: Node | null): HTMLElement | undefined {
  for (let node = first; node !== null; node = node.nextSibling) {
    if (node instanceof HTMLElement && node.isConnected && node.matches("[tabindex='0']")) return node;
  }
  return undefined;
}
