/**
 * The fleet of the benchmark, made anew from numbers wherever it is needed, so that servers, databases and load agree on it without a
 * file between them: machine 1 to machine N, of which some call.
 */
import { createHash } from "node:crypto";
import { createSimulatedIdentity, type SimulatedIdentity } from "../../src/simulate/fleet-identities.ts";

/** Nothing here is secret. */
const secret = createHash("sha256").update("the fleet of the benchmark").digest();

/** The machine's id: the same as `md5(number::text)::uuid` in SQL, by which pgbench names it. */
function toMachineId(number: number): string {
  const hex = createHash("md5").update(number.toString()).digest("hex");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

/** Makes the identity of the machine with a number from 1 up. */
export function createBenchIdentity(number: number): SimulatedIdentity {
  return { ...createSimulatedIdentity(secret, number), machineId: toMachineId(number) };
}

/** The numbers of the machines that call, spread evenly over the fleet; the machines' ids spread them over the tables at random. */
export function listCallers(machines: number, callers: number): number[] {
  const count = Math.min(machines, callers);
  return Array.from({ length: count }, (_, index) => Math.floor((index * machines) / count) + 1);
}
