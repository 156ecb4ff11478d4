/**
 * The fleet of the benchmark: machine 1 to machine N, of which some call. Identities are derived from the numbers, so
 * that servers, databases and load agree on them without sharing a file.
 */
import { createHash } from "node:crypto";
import { createSimulatedIdentity, type SimulatedIdentity } from "../../src/simulate/fleet-identities.ts";

/** Seed of the identities; not confidential. */
const secret = createHash("sha256").update("the fleet of the benchmark").digest();

/** Returns the machine's id, the same as `md5(number::text)::uuid` in SQL, which pgbench computes. */
function toMachineId(number: number): string {
  const hex = createHash("md5").update(number.toString()).digest("hex");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

/** Creates the identity of the machine with this number, from 1 up. */
export function createBenchIdentity(number: number): SimulatedIdentity {
  return { ...createSimulatedIdentity(secret, number), machineId: toMachineId(number) };
}

/**
 * Returns the numbers of the machines that call, spread evenly over the fleet. Their ids spread them randomly over the
 * tables.
 */
export function listCallers(machines: number, callers: number): number[] {
  const count = Math.min(machines, callers);
  return Array.from({ length: count }, (_, index) => Math.floor((index * machines) / count) + 1);
}
