/** Compares FindMachines with GetMachine, both as whole calls of one server. */
import { MachineService } from "../../gen/bmaas/admin/v1/machine_service_pb.js";
import type { Operator } from "../../src/cli/operator/admin-client.ts";
import { withClient } from "../end-to-end/seed-fleet.ts";
import { type ComparisonRow, compare } from "./comparison.ts";

/** Finds machines by an identifier of each kind, by whole and by beginning, beside getting one by its id. */
export async function compareFind(operator: Operator, databaseUrl: string, calls: number): Promise<ComparisonRow[]> {
  const machines = operator.client(MachineService);
  const named = await readNames(databaseUrl, calls);
  const nameAt = (call: number) => named[call % named.length] as (typeof named)[number];
  const get = (call: number) => machines.getMachine({ machineId: nameAt(call).machine_id });
  const texts = {
    "find by serial number": (call: number) => nameAt(call).serial_number,
    "find by a disk's WWN": (call: number) => `0x${nameAt(call).disk_wwn.toUpperCase()}`,
    "find by the beginning of an id": (call: number) => nameAt(call).machine_id.slice(0, 10),
  };
  const rows: ComparisonRow[] = [];
  for (const [what, textAt] of Object.entries(texts)) {
    const find = async (call: number) => {
      const { results } = await machines.findMachines({ text: textAt(call) });
      if (results[0]?.machine?.id !== nameAt(call).machine_id) throw new Error(`${textAt(call)} found another machine`);
    };
    rows.push(await compare({ what: `${what}, beside get`, measured: find, beside: get, calls, allowed: 1.5 }));
  }
  return rows;
}

/** Machines from all parts of the table, each with what it is found by. */
async function readNames(databaseUrl: string, count: number) {
  return withClient(databaseUrl, async (client) => {
    const { rows } = await client.query<{ machine_id: string; serial_number: string; disk_wwn: string }>(
      `select machine_id, serial.value as serial_number, disk.value as disk_wwn
         from machine_identifier serial join machine_identifier disk using (machine_id)
        where serial.kind = 'serial_number' and disk.kind = 'disk_wwn' and disk.value like '5000c5%'
        order by md5(machine_id::text) limit $1`,
      [count],
    );
    return rows;
  });
}
