/** Logs the events of an agent, with advice about failures. */
import { Code, type ConnectError } from "@connectrpc/connect";
import type { Logger } from "pino";
import type { AgentEvent } from "../agent/agent-event.ts";
import { type AgentNames, findAdvice, readReason } from "./agent-advice.ts";

/** A log line for one event. */
interface LogLine {
  readonly level: "debug" | "info" | "warn" | "error";
  readonly message: string;
  readonly fields?: object;
}

/** Logs one event as one line. */
export function logAgentEvent(log: Logger, event: AgentEvent, names: AgentNames): void {
  const { level, message, fields = {} } = describeEvent(event, names);
  log[level](fields, message);
}

function describeEvent(event: AgentEvent, names: AgentNames): LogLine {
  switch (event.type) {
    case "heartbeat": {
      const { hardwareReport, outcome, installing } = event;
      const fields = { hardwareReport, report: outcome?.generation.toString(), installing: installing?.toString() };
      return { level: "debug", message: "heartbeat", fields };
    }
    case "heartbeat-failed":
      return describeFailure(event.error, event.failures, event.retryInMs, names);
    case "hardware-collected": {
      const level = event.warnings.length > 0 ? "warn" : "debug";
      return { level, message: "hardware collected", fields: { warnings: event.warnings } };
    }
    case "hardware-refused":
      return {
        level: "error",
        message: `heartbeats with the hardware report fail, so the agent leaves it out: ${event.error.rawMessage}`,
      };
    case "health-collected": {
      const { alerts, error } = event;
      if (error === undefined) return { level: "info", message: "health changed", fields: { alerts } };
      const message = `the health command failed, so the alerts before it stay until they end: ${error.message}`;
      return { level: "warn", message, fields: { alerts } };
    }
    case "health-refused":
      return {
        level: "error",
        message: `heartbeats with the health alerts fail, so the agent leaves these out: ${event.error.rawMessage}`,
      };
    case "labels-refused":
      return {
        level: "warn",
        message: `heartbeats with version and boot id fail, so the agent leaves them out: ${event.error.rawMessage}`,
      };
    case "state-failed":
      return { level: "error", message: `cannot write the state file: ${event.error.message}` };
    default:
      return describeInstallation(event);
  }
}

type InstallationEvent = Exclude<
  AgentEvent,
  {
    type:
      | "heartbeat"
      | "heartbeat-failed"
      | "hardware-collected"
      | "hardware-refused"
      | "health-collected"
      | "health-refused"
      | "labels-refused"
      | "state-failed";
  }
>;

function describeInstallation(event: InstallationEvent): LogLine {
  switch (event.type) {
    case "installation-started":
      return { level: "info", message: "installation started", fields: { generation: `${event.request.generation}` } };
    case "request-unknown": {
      const { generation, error } = event.outcome;
      const advice = "run an agent that supports this installation, then request it again";
      return {
        level: "error",
        message: `nothing was installed: ${error}`,
        fields: { generation: `${generation}`, advice },
      };
    }
    case "request-refused": {
      const { generation, error } = event.outcome;
      return { level: "error", message: error ?? "", fields: { generation: `${generation}` } };
    }
    case "installer-left": {
      const message = "the installer that was given up has ended, so the next request is carried out";
      return { level: "warn", message, fields: { generation: `${event.generation}` } };
    }
    case "installation-progress": {
      const { phase, percent } = event.progress;
      return { level: "info", message: "installing", fields: { generation: `${event.generation}`, percent, phase } };
    }
    case "progress-refused": {
      const message = `the server refuses the progress report, so the agent leaves it out: ${event.error.rawMessage}`;
      return { level: "warn", message, fields: { generation: `${event.generation}` } };
    }
    case "request-deferred": {
      const fields = { generation: `${event.generation}`, installing: `${event.installing}` };
      return { level: "info", message: "a newer request waits until the current installation has ended", fields };
    }
    case "installation-finished": {
      const { generation, error } = event.outcome;
      if (error === undefined)
        return { level: "info", message: "installation succeeded", fields: { generation: `${generation}` } };
      return { level: "error", message: "installation failed", fields: { generation: `${generation}`, error } };
    }
    case "request-ignored": {
      const fields = { generation: `${event.generation}`, lastAttempted: `${event.lastAttempted}` };
      return { level: "warn", message: "ignored a request that was already attempted", fields };
    }
    case "report-accepted":
      return { level: "info", message: "installation reported", fields: { generation: `${event.outcome.generation}` } };
    case "report-refused": {
      const message = `the server rejected the report permanently, so the agent drops it: ${event.error.rawMessage}`;
      return { level: "error", message, fields: { generation: `${event.outcome.generation}` } };
    }
    case "after-install":
      if (event.error === undefined) return { level: "info", message: "after-install command succeeded" };
      return { level: "error", message: `after-install command failed: ${event.error}` };
    case "after-install-stopped":
      return { level: "info", message: "the agent was told to stop while the after-install command ran" };
    case "after-install-hangs": {
      const message = `after-install command has not ended after ${event.limitMs / 1000} s, so the agent goes on without it`;
      const advice = "reboot the machine if it does not end, as when a disk hangs";
      return { level: "error", message, fields: { generation: `${event.generation}`, advice } };
    }
    case "after-install-skipped":
      if (event.reason === "rebooted")
        return { level: "info", message: "the machine has rebooted since the after-install command was started" };
      if (event.reason === "hanging") {
        const message =
          "the after-install command that an earlier agent started may still run, so it is not started again";
        return { level: "error", message, fields: { advice: "reboot the machine" } };
      }
      return { level: "warn", message: "after-install command was interrupted twice, so it is not started again" };
  }
}

function describeFailure(error: ConnectError, failures: number, retryInMs: number, names: AgentNames): LogLine {
  const advice = findAdvice(error, names);
  const fields = { code: Code[error.code], failures, retryInMs: Math.round(retryInMs), advice };
  return { level: "warn", message: `heartbeat failed: ${readReason(error)}`, fields };
}
