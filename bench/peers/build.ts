/** Builds the servers in Go of this folder, which needs Go, and their modules from a proxy or from Go's cache. */
import { execFile } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const run = promisify(execFile);
/** Programs in Go need no C compiler then. */
const environment = { ...process.env, CGO_ENABLED: "0" };
const inModule = { cwd: fileURLToPath(new URL(".", import.meta.url)), env: environment };

/** Path of the program that contains all servers in Go, or why this machine cannot build it. */
export type BuiltPeers =
  | { readonly program: string; readonly missing?: undefined }
  | { readonly program?: undefined; readonly missing: string };

/** Builds the program into `folder`. Throws if it does not compile. */
export async function buildPeers(folder: string): Promise<BuiltPeers> {
  try {
    await run("go", ["mod", "download"], inModule);
  } catch (error) {
    return { missing: explain(error) };
  }
  const program = join(folder, "peers");
  await run("go", ["build", "-trimpath", "-o", program, "."], inModule);
  return { program };
}

function explain(error: unknown): string {
  const { code, stderr = "" } = error as { code?: string | number; stderr?: string };
  return code === "ENOENT"
    ? "there is no Go on the PATH"
    : `Go cannot provide what they need (${stderr.split("\n")[0]})`;
}
