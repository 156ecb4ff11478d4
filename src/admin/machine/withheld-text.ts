/** Words the reasons why a request is withheld, as clauses that begin with "because". */
import type { ExpectedDisk } from "../../../gen/cloud/bmaas/server/api/agent_pb.js";
import { describeIdentity } from "../../contract/disk-identity.ts";
import { withholdings } from "../installation/to-installation.ts";
import { type Facts, oneLine } from "./fact-text.ts";

type Reason = Facts["withheld"][number]["reason"];

/** Clauses that name what has changed, for reasons of which more is known than their name. */
const clauses: Readonly<Partial<Record<Reason, (facts: Facts) => string>>> = {
  disk_gone: ({ expectedDisk }) =>
    `because the newest hardware report does not show its disk${nameDisk(expectedDisk)} under any kernel name`,
  disks_unknown: ({ expectedDisk }) =>
    `because a server of an older version stored the newest hardware report, and nobody has looked for its disk in that${nameDisk(expectedDisk)}`,
  serial_number_changed: ({ installation, hardware }) =>
    `because the machine's serial number was ${quote(installation?.machineSerialNumber)} when its disk was chosen, and is ${quote(hardware?.serialNumber)} now`,
  system_uuid_changed: ({ installation, hardware }) =>
    `because the machine's UUID was ${quote(installation?.machineSystemUuid)} when its disk was chosen, and is ${quote(hardware?.systemUuid)} now`,
  reinstall_limit: ({ installation }) =>
    `because its agent was given ${installation?.reinstallLimit} installations within ${(installation?.reinstallWindowSeconds ?? 0) / 3600} h without a request that an operator made for this machine alone`,
};

/** Returns the clauses for all reasons, joined. */
export function describeWithholding(facts: Facts): string {
  return describeReasons(facts, facts.withheld);
}

/** Reasons that the explanation of every machine names apart from its installation. */
const namedApart: readonly Reason[] = ["held", "unhealthy", "duplicate_agent"];

/** Returns a further sentence about a request that was given, if its agent is not given it again. Empty otherwise. */
export function describeEndOfDelivery(facts: Facts): string {
  const withheld = facts.withheld.filter(({ reason }) => !namedApart.includes(reason));
  return withheld.length === 0 ? "" : `; it is not given again, ${describeReasons(facts, withheld)}`;
}

function describeReasons(facts: Facts, withheld: Facts["withheld"]): string {
  return withheld.map(({ reason }) => clauses[reason]?.(facts) ?? `because ${withholdings[reason]}`).join(", and ");
}

function nameDisk(disk: ExpectedDisk | undefined): string {
  return disk === undefined ? "" : ` (${oneLine(describeIdentity(disk))})`;
}

function quote(text: string | null | undefined): string {
  return text ? `"${oneLine(text)}"` : "unknown";
}
