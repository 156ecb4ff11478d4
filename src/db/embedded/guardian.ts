/**
 * A guardian process that stops PostgreSQL when this process is gone, however it ended.
 *
 * It is a shell that reads a pipe whose other end only this process holds: the kernel closes it even after kill -9. The
 * shell is told which process id to stop, and is told again when that process has ended. An id can be reused, but until
 * this process has seen a child end, the kernel does not reuse the child's id. Windows has no such shell: there,
 * PostgreSQL outlives a killed owner, and the next start stops it.
 */
import { type ChildProcess, spawn } from "node:child_process";
import type { Instance } from "./instance.ts";

/** The guardian of one embedded PostgreSQL. */
export interface Guardian {
  /** Sets the process to stop; undefined: none. */
  watch(pid: number | undefined): void;
  /** Ends the guardian. It stops nothing. */
  release(): void;
}

/**
 * Shell script of the guardian. SIGINT is PostgreSQL's fast shutdown; SIGQUIT, after twenty seconds, its immediate one.
 */
const script = `
trap '' HUP INT TERM
pid=$1
while read -r next; do pid=$next; done
[ -n "$pid" ] && kill -INT "$pid" 2>/dev/null || exit 0
for second in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
  kill -0 "$pid" 2>/dev/null || exit 0
  sleep 1
done
kill -QUIT "$pid" 2>/dev/null
`;
const respawnDelayMs = 500;

/** Starts a guardian, and a new one whenever it dies. None keeps this process alive. */
export function startGuardian(instance: Instance): Guardian {
  if (process.platform === "win32") return { watch() {}, release() {} };
  let watched: number | undefined;
  let released = false;
  let shell: ChildProcess;

  const tell = () => shell.stdin?.write(`${watched ?? ""}\n`);
  const startLater = () => {
    if (!released) setTimeout(startAgain, respawnDelayMs).unref();
  };
  const startAgain = () => {
    if (released) return;
    try {
      start();
    } catch {
      // The system is out of memory or processes.
      startLater();
    }
  };
  const start = () => {
    shell = spawn("/bin/sh", ["-c", script, "bmaas-guardian", `${watched ?? ""}`], {
      cwd: instance.folder,
      env: { PATH: "/usr/local/bin:/usr/bin:/bin" },
      // A session of its own: signals to this process's group or terminal do not reach it.
      detached: true,
      stdio: ["pipe", "ignore", "ignore"],
      ...instance.account,
    });
    shell.stdin?.on("error", () => {});
    shell.once("exit", startLater);
    // A shell that could not be started emits "error" and no "exit". Later errors concern signals, which nothing sends.
    shell.once("error", startLater).on("error", () => {});
    shell.unref();
    // The pipe is a socket, but its type does not declare `unref`.
    (shell.stdin as { unref?: () => void } | null)?.unref?.();
  };

  start();
  return {
    watch(pid) {
      watched = pid;
      tell();
    },
    release() {
      released = true;
      watched = undefined;
      tell();
      shell.stdin?.end();
    },
  };
}
