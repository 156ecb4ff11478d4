/**
 * A new machine is installed. Then it is emptied and installed again, with its disks in the other order: each has the
 * kernel name that the hardware report gives to the other one.
 */
import { limits, type Rack, RackMachine, type Scenario, serveImage } from "../rack.ts";
import { tellHeading } from "../transcript.ts";

/** Throws if anything differs from what it should be. */
export const diskOrders: Scenario = { name: "disk-orders", run };

async function run(rack: Rack): Promise<void> {
  const { server } = rack;
  const machine = new RackMachine(rack, "alpha", 1);

  tellHeading("A new machine is installed");
  const first = serveImage(rack, "alpha");
  machine.switchOn();
  const machineId = await machine.letIn();
  await machine.awaitDisks(machineId);
  const request = ["install", "request", machineId, "--disk", `serial=${machine.diskSerial}`, "--image"];
  await server.type([...request, first.url, "--digest", first.digest, "--dry-run"]);
  await server.type([...request, first.url, "--digest", first.digest, "--wait"]);
  await machine.on.see(first.line, limits.step);
  await machine.cutPower();
  machine.checkInstalled(first);
  machine.checkKept();

  tellHeading("The disks are in the other order, and the clock is wrong by years");
  const second = serveImage(rack, "alpha-again");
  machine.emptyDisk();
  await server.type([...request, second.url, "--digest", second.digest]);
  machine.switchOn({ keptFirst: true, clock: "2001-01-01" });
  await machine.letIn(machineId);
  await server.type(["install", "get", machineId, "--wait"]);
  await machine.on.see(second.line, limits.step);
  await machine.cutPower();
  machine.checkInstalled(second);
  machine.checkKept();
}
