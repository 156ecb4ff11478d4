/**
 * The console's files. The package comes with them in dist/console; a clone builds them when its sources have changed,
 * in a process beside the server, which does not wait for them.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { setPriority } from "node:os";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import type { Logger } from "pino";
import { ownFolder } from "../base/own-files.ts";

/** Returns the absolute path of the folder with the built console, or undefined while there is none. */
export type FindConsole = () => string | undefined;

/** How a clone makes the console. The package does not have this file. */
const makerFile = new URL("tools/clone-console.ts", ownFolder);

/** How much of a failed build's output the log shows, in characters. */
const maxShownOutput = 2_000;

interface Maker {
  findFreshConsole(): string | undefined;
  canBuildConsole(): boolean;
}

/**
 * Returns the function that finds the console. It looks at once, and once it has found one, it stays with it: nobody
 * builds another one when a source changes later. `find` looks for it.
 */
export async function locateConsole(find?: FindConsole): Promise<FindConsole> {
  const look = find ?? (await chooseFinder());
  let found = look();
  return () => {
    found ??= look();
    return found;
  };
}

async function chooseFinder(): Promise<FindConsole> {
  const maker = await findMaker();
  return maker?.canBuildConsole() === true ? () => maker.findFreshConsole() : findBuilt;
}

/** Builds the console of a clone in a process of its own if there is no fresh one. The log says how it goes. */
export interface ConsoleBuild extends AsyncDisposable {
  /** Whether a build was needed. */
  readonly isNeeded: boolean;
}

/** Starts the build. It ends early when the result is disposed of. */
export async function startConsoleBuild(log: Logger): Promise<ConsoleBuild> {
  const maker = await findMaker();
  if (maker === undefined || !maker.canBuildConsole() || maker.findFreshConsole() !== undefined) {
    return { isNeeded: false, [Symbol.asyncDispose]: async () => {} };
  }
  const child = spawn(process.execPath, [fileURLToPath(makerFile)], { stdio: ["ignore", "ignore", "pipe"] });
  const done = reportBuild(child, log);
  return {
    isNeeded: true,
    [Symbol.asyncDispose]: async () => {
      child.kill();
      await done;
    },
  };
}

async function findMaker(): Promise<Maker | undefined> {
  if (!existsSync(makerFile)) return undefined;
  return (await import(makerFile.href)) as Maker;
}

function findBuilt(): string | undefined {
  const folder = fileURLToPath(new URL("dist/console/", ownFolder));
  return existsSync(`${folder}index.html`) ? folder : undefined;
}

/** Resolves when the build has ended. Never rejects. */
async function reportBuild(child: ChildProcess, log: Logger): Promise<void> {
  log.info("the console is being built, which takes some seconds");
  try {
    if (child.pid !== undefined) setPriority(child.pid, 10);
  } catch {
    // It ends all the same, only with more of the processor.
  }
  try {
    const [[status, signal], output] = await Promise.all([
      once(child, "close"),
      child.stderr === null ? "" : text(child.stderr),
    ]);
    if (status === 0) log.info("the console is built");
    else if (signal === null) {
      log.error({ output: output.slice(0, maxShownOutput) }, "the console could not be built; the API is served");
    }
  } catch (error) {
    log.error({ err: error }, "the console could not be built; the API is served");
  }
}
