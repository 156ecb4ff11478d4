/** Leads to the page of a machine. */
import { Link } from "@tanstack/react-router";

/** The page of a machine. */
const machinePath = "/machines/$machineId";

/** Shows a machine's id, which leads to its page. */
export function MachineLink({ machineId }: { readonly machineId: string }) {
  return (
    <Link to={machinePath as string} params={{ machineId }} className="mono">
      {machineId}
    </Link>
  );
}
