/** Installs an image, and prints as JSON what that took: URL, digest, disk. */
import { installImage } from "../../src/agent/image/install-image.ts";
import { openTarget } from "../../src/agent/image/target.ts";

const [url = "", digest = "", disk = ""] = process.argv.slice(2);
const startedAt = performance.now();
const before = process.cpuUsage();
const target = await openTarget(disk);
const { signal } = new AbortController();
await installImage({ url, digest }, target, { signal, verifiesAll: false, onProgress: () => {} });
await target.close();
const { user, system } = process.cpuUsage(before);
const took = { wallMs: performance.now() - startedAt, cpuMs: (user + system) / 1000 };
process.stdout.write(JSON.stringify({ ...took, peakMiB: process.resourceUsage().maxRSS / 1024 }));
