/**
 * Adds to package-lock.json the packages for other platforms that a registry did not offer when the file was written.
 *
 * npm leaves an optional package out of the lock file when the registry does not have it, as mirrors for one platform
 * do not, and `npm ci` then refuses the lock file everywhere. Run it after `npm install` on such a registry: `npm run
 * lock:complete`. The entries have no integrity; `npm install` against a full registry adds it.
 */
import { readFileSync, writeFileSync } from "node:fs";

interface LockedPackage {
  readonly version?: string;
  readonly dev?: boolean;
  readonly optionalDependencies?: Record<string, string>;
}

const systems = ["aix", "android", "darwin", "freebsd", "linux", "netbsd", "openbsd", "openharmony", "sunos", "win32"];
const processors = ["arm", "arm64", "ia32", "loong64", "mips64el", "ppc64", "riscv64", "s390x", "wasm32", "x64"];

const file = new URL("../package-lock.json", import.meta.url);
const lock = JSON.parse(readFileSync(file, "utf8")) as { packages: Record<string, LockedPackage> };
const added = findMissing(lock.packages);
const packages = Object.entries({ ...lock.packages, ...added }).sort(([a], [b]) => (a < b ? -1 : 1));
writeFileSync(file, `${JSON.stringify({ ...lock, packages: Object.fromEntries(packages) }, null, 2)}\n`);
process.stdout.write(`added ${Object.keys(added).length} packages\n`);

function findMissing(present: Record<string, LockedPackage>): Record<string, object> {
  const missing: Record<string, object> = {};
  for (const [path, { dev, optionalDependencies = {} }] of Object.entries(present)) {
    for (const [name, version] of Object.entries(optionalDependencies)) {
      if (isResolved(present, path, name)) continue;
      if (!/^\d+\.\d+\.\d+/.test(version)) throw new Error(`${path} wants a range of ${name}: ${version}`);
      missing[`node_modules/${name}`] = { version, ...(dev && { dev }), optional: true, ...readPlatform(name) };
    }
  }
  return missing;
}

/** Looks where Node looks: in the package's own folder first, then in each one above. */
function isResolved(present: Record<string, LockedPackage>, path: string, name: string): boolean {
  const folders = path
    .split("/node_modules/")
    .map((_, index, parts) => parts.slice(0, index + 1).join("/node_modules/"));
  return ["", ...folders].some((folder) => present[`${folder}${folder && "/"}node_modules/${name}`] !== undefined);
}

/** The platform as such packages' names say it, for example "binding-linux-arm64-musl". */
function readPlatform(name: string): object {
  const words = name.replace(/^.*\//, "").replace("windows", "win32").replace("aarch64", "arm64").split(/[-.]/);
  const os = systems.find((system) => words.includes(system));
  const cpu =
    processors.find((processor) => words.includes(processor)) ?? (/armv7|eabi/.test(name) ? "arm" : undefined);
  if (os === undefined || cpu === undefined) throw new Error(`no platform in the name of ${name}`);
  const libc = /musl/.test(name) ? "musl" : /gnu/.test(name) ? "glibc" : undefined;
  return { cpu: [cpu], ...(libc && os === "linux" && { libc: [libc] }), os: [os] };
}
