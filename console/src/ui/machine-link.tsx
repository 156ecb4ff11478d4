/** Leads to the page of a machine. */
import { Link } from "@tanstack/react-router";

/** Shows a machine's id, which leads to its page. */
export function MachineLink({ machineId }: { readonly machineId: string }) {
  return (
    <Link to="/machines/$machineId" params={{ machineId }} className="mono">
      {machineId}
    </Link>
  );
}
