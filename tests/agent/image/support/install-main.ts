/**
 * Installs an image in a process of its own, to be killed or measured: URL, digest, disk. Prints "begins", each step as
 * it begins, and at the end what it uses.
 */
import { installImage } from "../../../../src/agent/image/install-image.ts";
import { openTarget } from "../../../../src/agent/image/target.ts";

const [url = "", digest = "", disk = ""] = process.argv.slice(2);
const target = await openTarget(disk);
process.stdout.write("begins\n");
const { signal } = new AbortController();
let step = "";
const onProgress = (phase: string) => {
  if (phase !== step) process.stdout.write(`${phase}\n`);
  step = phase;
};
await installImage({ url, digest }, target, { signal, verifiesAll: false, onProgress });
await target.close();
process.stdout.write(`${JSON.stringify({ maxRssKiB: process.resourceUsage().maxRSS })}\n`);
