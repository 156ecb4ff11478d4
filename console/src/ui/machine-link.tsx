/** Leads to the page of a machine. */
import { useRouter } from "@tanstack/react-router";
import type { MouseEvent } from "react";

/**
 * Shows a machine's id, which leads to its page. Where tables cut it, it is whole where the pointer rests on it.
 *
 * It is no Link of the router: that works its target out anew at every change of the URL, here in each row of a list.
 */
export function MachineLink({ machineId }: { readonly machineId: string }) {
  const router = useRouter();
  const page = { to: "/machines/$machineId", params: { machineId } } as const;
  const preload = () => void router.preloadRoute(page);
  const open = (event: MouseEvent) => {
    if (!isPlain(event)) return;
    event.preventDefault();
    void router.navigate(page);
  };
  return (
    <a
      href={`/machines/${encodeURIComponent(machineId)}`}
      className="mono"
      title={machineId}
      onClick={open}
      onPointerEnter={preload}
      onFocus={preload}
    >
      {machineId}
    </a>
  );
}

/** Whether a click opens its link in the same tab. */
function isPlain({ button, metaKey, ctrlKey, shiftKey, altKey }: MouseEvent): boolean {
  return button === 0 && !metaKey && !ctrlKey && !shiftKey && !altKey;
}
