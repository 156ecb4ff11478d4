/** What Prometheus calls the standard metrics of a process: CPU, memory, file descriptors, garbage collection, event loop lag. */
import { collectDefaultMetrics, Registry } from "prom-client";

let registry: Registry | undefined;

/**
 * The metrics of this process. Their observers cannot be stopped, so there is one set of them, made when it is first asked for, however
 * many servers a process has in its life.
 */
export function getProcessMetrics(): Registry {
  if (registry === undefined) {
    registry = new Registry();
    collectDefaultMetrics({ register: registry });
  }
  return registry;
}
