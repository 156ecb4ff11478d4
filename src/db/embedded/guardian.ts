/**
 * A guardian that stops PostgreSQL when this process is gone, however it went.
 *
 * It is a shell that reads a pipe whose other end this process alone holds: the kernel closes it even after kill -9. Process ids are
 * used again, so it is told by id what to stop and told again when that has ended; until this process has seen a child end, the
 * kernel keeps the child's id from others. Windows has no such shell: PostgreSQL outlives a killed owner there, and the next start
 * stops it.
 */
import { type ChildProcess, spawn } from "node:child_process";
import type { Instance } from "./instance.ts";

/** The guardian of one embedded PostgreSQL. */
export interface Guardian {
  /** Says which process to stop; undefined: none. */
  watch(pid: number | undefined): void;
  /** Lets the guardian go. */
  release(): void;
}

/** SIGINT is PostgreSQL's fast shutdown; SIGQUIT, after twenty seconds, the one without good order. */
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

/** Starts a guardian, and another one whenever it dies; none of them keeps this process alive. */
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
      // A session of its own, so that what is sent to this process's group or terminal does not reach it.
      detached: true,
      stdio: ["pipe", "ignore", "ignore"],
      ...instance.account,
    });
    shell.stdin?.on("error", () => {});
    shell.once("exit", startLater);
    // One that could not be started has no exit; others' errors are of signals that nobody sends.
    shell.once("error", startLater).on("error", () => {});
    shell.unref();
    // The pipe is a socket, whose type does not show that it can be let go.
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
