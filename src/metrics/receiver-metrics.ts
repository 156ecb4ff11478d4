/** Metrics of what is sent to receivers. The process that is the dispatcher counts; the others show zero. */
import type { DispatchObserver } from "../receivers/dispatcher.ts";
import { Counter, Gauge, type Registry } from "./prom-client.ts";

/** Creates an observer that counts attempts and shows what waits. */
export function createDispatchObserver(registry: Registry): DispatchObserver {
  const registers = [registry];
  const deliveries = new Counter({
    name: "bmaas_receiver_deliveries_total",
    help: "Messages to receivers: accepted (delivered), attempts that failed (failed), and not accepted for a day (given_up).",
    labelNames: ["outcome"],
    registers,
  });
  for (const outcome of ["delivered", "failed", "given_up"]) deliveries.inc({ outcome }, 0);
  const age = new Gauge({
    name: "bmaas_receiver_queue_age_seconds",
    help: "Age of the message to a receiver that has waited longest, as the process that sends them knows it.",
    aggregator: "max",
    registers,
  });
  const failing = new Gauge({
    name: "bmaas_receivers_failing",
    help: "Receivers that have accepted nothing for a day, or for which a message was given up within a day.",
    aggregator: "max",
    registers,
  });
  return {
    attempted: (isDelivered, givenUp) => {
      deliveries.inc({ outcome: isDelivered ? "delivered" : "failed" });
      if (givenUp > 0) deliveries.inc({ outcome: "given_up" }, givenUp);
    },
    queued: ({ ageSeconds, failingReceivers }) => {
      age.set(ageSeconds);
      failing.set(failingReceivers);
    },
  };
}
