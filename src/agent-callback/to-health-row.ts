/** Converts the health report of a heartbeat to the database's form, whatever an agent sends. */
import { type Duration, durationMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import {
  type AgentHealthReport,
  type HealthAlert,
  HealthEffect,
  HealthSeverity,
} from "../../gen/cloud/bmaas/server/api/agent_pb.js";
import type { HealthRow } from "../db/queries/heartbeat/heartbeat-row.ts";
import { maxAlerts } from "../db/queries/machine-health.ts";
import type { NewAlert } from "../db/queries/replace-alerts.ts";
import { toStorableText } from "./storable-text.ts";

/** Maximum lengths of stored texts, in UTF-16 code units, as in agent.proto. */
const maxLengths = { id: 64, target: 128, message: 1024 } as const;

/** Shortest, longest and usual time for which alerts count, in milliseconds, as in agent.proto. */
const ttlsMs = { shortest: 1000, longest: 24 * 60 * 60 * 1000, usual: 60 * 60 * 1000 } as const;

/**
 * Returns the alerts that count: at most `maxAlerts`, those that block installations first and then the most severe,
 * and the first one of several with the same id and target. Throws ConnectError with `invalid_argument` for a duration
 * that is negative or out of range.
 */
export function toHealthRow({ alert: sent, ttl }: AgentHealthReport): HealthRow {
  const alerts = new Map<string, NewAlert>();
  for (const alert of sent.map(toAlert)) {
    const key = JSON.stringify([alert.alertId, alert.target]);
    if (alert.alertId !== "" && !alerts.has(key)) alerts.set(key, alert);
  }
  const ranked = [...alerts.values()].toSorted((a, b) => rank(b) - rank(a));
  return { alerts: ranked.slice(0, maxAlerts), ttlMs: ttl === undefined ? ttlsMs.usual : toTtlMs(ttl) };
}

function toAlert({ id, target, severity, message, effects }: HealthAlert): NewAlert {
  return {
    alertId: toLine(id, maxLengths.id),
    target: toLine(target, maxLengths.target),
    severity: severities[severity] ?? "warning",
    message: toLine(message, maxLengths.message),
    blocksInstall: effects.includes(HealthEffect.BLOCK_INSTALL),
    // Whoever has stolen an agent's key must not be able to hide what gives it away.
    mutes: false,
  };
}

const severities: Partial<Record<HealthSeverity, NewAlert["severity"]>> = {
  [HealthSeverity.INFO]: "info",
  [HealthSeverity.WARNING]: "warning",
  [HealthSeverity.CRITICAL]: "critical",
};

const ranks = { info: 0, warning: 1, critical: 2 } as const satisfies Record<NewAlert["severity"], number>;

function rank({ severity, blocksInstall }: NewAlert): number {
  return ranks[severity] + (blocksInstall ? Object.keys(ranks).length : 0);
}

/** Returns the text on one line. */
function toLine(text: string, maxLength: number): string {
  return toStorableText(text, maxLength)
    .replaceAll(/[\s\p{Cc}]+/gu, " ")
    .trim();
}

function toTtlMs(ttl: Duration): number {
  const { seconds, nanos } = ttl;
  if (seconds < 0n || nanos < 0 || nanos > 999_999_999) {
    throw new ConnectError("health.ttl: must be a duration of 0 or more", Code.InvalidArgument);
  }
  if (seconds >= ttlsMs.longest / 1000) return ttlsMs.longest;
  return Math.max(ttlsMs.shortest, Math.floor(durationMs(ttl)));
}
