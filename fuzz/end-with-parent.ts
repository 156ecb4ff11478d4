/**
 * A server loads this module first: it ends the process once nobody holds the other end of its standard input, however
 * that one ended.
 */
import { isMainThread } from "node:worker_threads";

if (isMainThread) {
  process.stdin
    .once("end", () => process.kill(process.pid, "SIGKILL"))
    .resume()
    .unref();
}
