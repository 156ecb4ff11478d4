/** Decides which request a machine's agent must be given. */
import { isOpen } from "../../schema/os-installation-request.ts";

/**
 * Returns the SQL condition that the os_installation_request row `request` is open, and that no report of this or a
 * later generation was accepted. The condition on reports is needed because a server of an older version does not set
 * finished_at: it may have accepted a report before a newer server replaced it.
 */
export function isUnreported(request: string): string {
  return `${isOpen(request)}
       and not exists (select from os_installation_report report
                        where report.machine_id = ${request}.machine_id and report.generation >= ${request}.generation)`;
}

/**
 * Returns the SQL condition that `request` is unreported and that nothing withholds it, whichever process of the agent
 * asks for it.
 */
export function isPending(request: string): string {
  return `${isUnreported(request)}
       and not exists (select from installation_withheld withheld
                        where withheld.machine_id = ${request}.machine_id and withheld.generation = ${request}.generation
                          and withheld.reason <> 'disk_names_unconfirmed')`;
}
