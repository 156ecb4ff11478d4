/** Severities of issues and of health alerts in words, with a sign and a colour for each. */
import { IssueSeverity } from "@api/issue_pb.js";
import { HealthSeverity } from "@api/machine_pb.js";
import { namesOf } from "../../../src/contract/enum-names.ts";
import { Badge, type Tone } from "./machine-state.tsx";

/** Severities of issues by name, the least urgent first. */
export const issueSeverities = namesOf<IssueSeverity>(IssueSeverity);
/** Severities of health alerts by name, the least urgent first. */
export const healthSeverities = namesOf<HealthSeverity>(HealthSeverity);

const issueTones: Readonly<Record<IssueSeverity, Tone>> = {
  [IssueSeverity.UNSPECIFIED]: "calm",
  [IssueSeverity.INFO]: "calm",
  [IssueSeverity.WARNING]: "warn",
  [IssueSeverity.CRITICAL]: "bad",
};

const healthTones: Readonly<Record<HealthSeverity, Tone>> = {
  [HealthSeverity.UNSPECIFIED]: "calm",
  [HealthSeverity.INFO]: "calm",
  [HealthSeverity.WARNING]: "warn",
  [HealthSeverity.CRITICAL]: "bad",
};

/** Returns how an issue is to be taken. */
export function toneOfIssue(severity: IssueSeverity): Tone {
  return issueTones[severity] ?? "calm";
}

/** Shows the severity of an issue. */
export function IssueSeverityBadge({ severity }: { readonly severity: IssueSeverity }) {
  return <Badge tone={toneOfIssue(severity)}>{issueSeverities.nameOf(severity)}</Badge>;
}

/** Shows the severity of a health alert. */
export function HealthSeverityBadge({ severity }: { readonly severity: HealthSeverity }) {
  return <Badge tone={healthTones[severity] ?? "calm"}>{healthSeverities.nameOf(severity)}</Badge>;
}
