#!/usr/bin/env bash
# Shows that Node no longer ignores the signals that it was started to ignore, so that nohup does nothing for it.
#
#   findings/node-undoes-nohup.sh [VERSION]    tries this version of Node; default: 24.21.0
#
# Subject: Node 24.21.0 on Linux, started by nohup of GNU coreutils 9.1 (Debian 12), by a shell's trap, and in the
# background of a script.
#
# What one would guess: what nohup starts goes on when the terminal is gone, unless it handles SIGHUP itself. exec()
# leaves signals ignored that were ignored (POSIX, exec, "Signals set to be ignored by the calling process image shall
# be set to be ignored by the new process image"), and nohup(1) is built upon that. A shell without job control starts
# its commands in the background with SIGINT and SIGQUIT ignored (POSIX, Shell Command Language, 2.9.3), so that Ctrl-C
# ends the script and not them.
#
# What happens: at its start Node sets every signal that is ignored, except SIGPIPE and SIGXFSZ, back to its default
# action, which ends the process (PlatformInit in src/node.cc). The documentation of the event 'SIGHUP' says that its
# default is to end Node, and nothing of nohup. A program can have a listener keep it alive, but cannot see any more
# that its caller wanted that.
#
# Seen on 2026-11-30, what became of each process after the signal:
#   SIGHUP,  nohup PROGRAM:           sleep goes on   node ended by SIGHUP
#   SIGHUP,  trap '' HUP; PROGRAM:    sleep goes on   node ended by SIGHUP
#   SIGTERM, trap '' TERM; PROGRAM:   sleep goes on   node ended by SIGTERM
#   SIGINT,  PROGRAM & of a script:   sleep goes on   node ended by SIGINT
#   SIGHUP,  PROGRAM:                 sleep ended by SIGHUP   node ended by SIGHUP
#
# Why it matters: whoever starts an agent or a long installation by nohup over ssh loses it with the connection, and
# "ignoring input and appending output" was printed as ever. Use setsid or systemd-run, which keep the signal away
# instead of having it ignored. bmaas's server has a meaning for SIGHUP of its own; its agent ends in good order.
#
# Exit status: 0 when it is so, 1 when that has changed, 2 when it could not be tried.
set -euo pipefail

version=${1:-24.21.0}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
echo '{ "private": true, "type": "module" }' > package.json
npm install --no-audit --no-fund --loglevel=error "node@$version" > npm.log 2>&1 || { cat npm.log >&2; exit 2; }

cat > try.js <<'JS'
import { spawn } from "node:child_process";
import { once } from "node:events";
import { setTimeout as delay } from "node:timers/promises";

setTimeout(() => {
  console.error("could not be tried: no result within 60 s");
  process.exit(2);
}, 60_000).unref();

const starters = [
  ["SIGHUP", "nohup PROGRAM", "exec nohup"],
  ["SIGHUP", "trap '' HUP; PROGRAM", "trap '' HUP; exec"],
  ["SIGTERM", "trap '' TERM; PROGRAM", "trap '' TERM; exec"],
  ["SIGINT", "PROGRAM & of a script", ""],
  ["SIGHUP", "PROGRAM", "exec"],
];
// Both say when they run: a signal that comes before would tell nothing.
const programs = {
  sleep: "/bin/sh -c 'echo runs; exec sleep 30'",
  node: `"${process.execPath}" -e 'console.log("runs"); setInterval(() => {}, 1000)'`,
};

/** Starts the program, sends it the signal, and says what became of it. */
async function tryOne(signal, start, command) {
  const script = start === "" ? `${command} & echo $!; wait $!; exit $?` : `echo $$; ${start} ${command}`;
  const shell = spawn("/bin/sh", ["-c", script], { stdio: ["ignore", "pipe", "ignore"] });
  const ended = once(shell, "exit");
  let said = "";
  for await (const piece of shell.stdout) {
    said += piece;
    if (/^\d+$/m.test(said) && said.includes("runs")) break;
  }
  const pid = Number(/^\d+$/m.exec(said)[0]);
  await delay(300);
  process.kill(pid, signal);
  const end = await Promise.race([ended, delay(1_500)]);
  if (end === undefined) {
    process.kill(pid, "SIGKILL");
    await ended;
    return "goes on";
  }
  const [status, killer] = end;
  const numbers = { 129: "SIGHUP", 130: "SIGINT", 143: "SIGTERM" };
  return `ended by ${killer ?? numbers[status] ?? status}`;
}

const seen = [];
for (const [signal, shown, start] of starters) {
  const ends = [];
  for (const [name, command] of Object.entries(programs)) ends.push(`${name} ${await tryOne(signal, start, command)}`);
  seen.push(`${`${signal},`.padEnd(8)} ${`${shown}:`.padEnd(24)} ${ends.join("   ")}`);
}
console.log(seen.join("\n"));
const found = [
  "SIGHUP,  nohup PROGRAM:           sleep goes on   node ended by SIGHUP",
  "SIGHUP,  trap '' HUP; PROGRAM:    sleep goes on   node ended by SIGHUP",
  "SIGTERM, trap '' TERM; PROGRAM:   sleep goes on   node ended by SIGTERM",
  "SIGINT,  PROGRAM & of a script:   sleep goes on   node ended by SIGINT",
  "SIGHUP,  PROGRAM:                 sleep ended by SIGHUP   node ended by SIGHUP",
];
const isAsFound = seen.join() === found.join();
console.log(isAsFound ? "as found" : "this has changed");
process.exit(isAsFound ? 0 : 1);
JS
node_modules/.bin/node try.js
