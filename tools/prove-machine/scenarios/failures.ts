/**
 * What goes wrong on the way: an image with another digest, a power cut in mid-write, and a server that is killed while
 * the machine installs.
 */
import { limits, type Rack, RackMachine, type Scenario, serveImage } from "../rack.ts";
import { tell, tellHeading } from "../transcript.ts";

/** Throws if anything differs from what it should be. */
export const failures: Scenario = { name: "failures", run };

/** Exit status of `bmaas install request --wait` for an installation that failed. */
const failed = 7;
/** Speed of an image's server, so that there is time to do something in mid-install. */
const slowBytesPerSecond = 1_000_000;

async function run(rack: Rack): Promise<void> {
  const { server } = rack;
  const machine = new RackMachine(rack, "bravo", 2);
  const image = serveImage(rack, "bravo", slowBytesPerSecond);
  const other = serveImage(rack, "bravo-other");

  tellHeading("The image has another digest");
  machine.switchOn();
  const machineId = await machine.letIn();
  await machine.awaitDisks(machineId);
  const request = ["install", "request", machineId, "--disk", `serial=${machine.diskSerial}`, "--image"];
  await server.type([...request, other.url, "--digest", image.digest, "--wait"], failed);
  await machine.on.see("installation failed", limits.step);
  await machine.checkNothingBoots();
  machine.checkKept();

  tellHeading("The power is cut in mid-write");
  await server.type([...request, image.url, "--digest", image.digest]);
  await machine.on.see(/percent: [3-8]\d/, limits.step);
  await machine.cutPower();
  machine.checkHalfWritten(image);
  await machine.checkNothingBoots();
  machine.checkKept();

  tellHeading("A new request installs it, and the server is killed in mid-install");
  await server.type([...request, image.url, "--digest", image.digest, "--supersede"]);
  machine.switchOn();
  await machine.letIn(machineId, "--during-installation");
  await machine.on.see(/percent: [1-8]\d/, limits.step);
  tell("the server and its database are killed");
  await server.kill();
  await machine.on.see("heartbeat failed", limits.step);
  await machine.on.see("installation succeeded", limits.step);
  tell("the server is started again");
  await server.start();
  await server.type(["install", "get", machineId, "--wait"]);
  await machine.on.see(image.line, limits.step);
  await machine.cutPower();
  machine.checkInstalled(image);
  machine.checkKept();
}
