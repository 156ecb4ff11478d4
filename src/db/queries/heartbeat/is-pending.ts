/** Which request a machine's agent has still to carry out. */
import { isOpen } from "../../schema/os-installation-request.ts";

/**
 * Returns the SQL condition that the os_installation_request row `request` is open and that no report has reached it. A server that
 * does not finish requests may have accepted such a report before another one took its place.
 */
export function isPending(request: string): string {
  return `${isOpen(request)}
       and not exists (select from os_installation_report report
                        where report.machine_id = ${request}.machine_id and report.generation >= ${request}.generation)`;
}
