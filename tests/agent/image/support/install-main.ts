/**
 * Installs an image in a process of its own, to be killed or measured: URL, digest, disk. Prints "begins", each step as
 * it begins, and at the end how much memory of buffers it had at most.
 */
import { installImage } from "../../../../src/agent/image/install-image.ts";
import { openTarget } from "../../../../src/agent/image/target.ts";

const [url = "", digest = "", disk = ""] = process.argv.slice(2);
const target = await openTarget(disk);
process.stdout.write("begins\n");
const { signal } = new AbortController();
let step = "";
let maxBufferBytes = 0;
const onProgress = (phase: string) => {
  maxBufferBytes = Math.max(maxBufferBytes, process.memoryUsage().arrayBuffers);
  if (phase !== step) process.stdout.write(`${phase}\n`);
  step = phase;
};
await installImage({ url, digest }, target, { signal, verifiesAll: false, onProgress });
await target.close();
process.stdout.write(`${JSON.stringify({ maxBufferBytes })}\n`);
