/** Names of the contract's enum values for people: "installation_failed" for MACHINE_STATE_INSTALLATION_FAILED. */

import { EnrolmentState } from "../../../gen/bmaas/admin/v1/enrolment_pb.js";
import { HealthEffect } from "../../../gen/bmaas/admin/v1/health_service_pb.js";
import { InstallationState } from "../../../gen/bmaas/admin/v1/installation_pb.js";
import { IssueSeverity } from "../../../gen/bmaas/admin/v1/issue_pb.js";
import { HealthSeverity, MachineState, ProviderStatus } from "../../../gen/bmaas/admin/v1/machine_pb.js";
import { MatchKind } from "../../../gen/bmaas/admin/v1/machine_service_pb.js";
import { DeliveryState } from "../../../gen/bmaas/admin/v1/receiver_service_pb.js";
import { Role } from "../../../gen/bmaas/admin/v1/role_pb.js";
import type { Cell } from "./output.ts";

type StyledCell = Exclude<Cell, string>;
type Style = StyledCell["style"];

/** An enum as protobuf-es generates it: names to numbers and back. */
type EnumObject = Readonly<Record<string, string | number>>;

/** The values of an enum by name, without the value 0. */
export interface EnumNames<Value extends number> {
  readonly names: readonly string[];
  /** Returns the name, or text with the number of a value that only a newer server knows. */
  nameOf(value: Value): string;
  /** Returns the value, or undefined for an unknown name. Dashes count as underscores. */
  find(name: string): Value | undefined;
}

function namesOf<Value extends number>(values: EnumObject): EnumNames<Value> {
  const entries = Object.entries(values).filter(([, value]) => typeof value === "number" && value !== 0);
  const byName = new Map(entries.map(([name, value]) => [name.toLowerCase(), value as Value]));
  const byValue = new Map([...byName].map(([name, value]) => [value, name]));
  return {
    names: [...byName.keys()],
    nameOf: (value) => byValue.get(value) ?? `unknown (${value})`,
    find: (name) => byName.get(name.toLowerCase().replaceAll("-", "_")),
  };
}

/** States of machines. */
export const machineStateNames: EnumNames<MachineState> = namesOf(MachineState as unknown as EnumObject);

/** States of installations. */
export const installationStateNames: EnumNames<InstallationState> = namesOf(InstallationState as unknown as EnumObject);

/** States of enrolments. */
export const enrolmentStateNames: EnumNames<EnrolmentState> = namesOf(EnrolmentState as unknown as EnumObject);

/** Statuses of machines according to their providers. */
export const providerStatusNames: EnumNames<ProviderStatus> = namesOf(ProviderStatus as unknown as EnumObject);

/** Effects of health alerts. */
export const healthEffectNames: EnumNames<HealthEffect> = namesOf(HealthEffect as unknown as EnumObject);

const healthSeverityNames: EnumNames<HealthSeverity> = namesOf(HealthSeverity as unknown as EnumObject);
/** Severities of issues, the least urgent first. */
export const issueSeverityNames: EnumNames<IssueSeverity> = namesOf(IssueSeverity as unknown as EnumObject);

/** States of deliveries to receivers. */
export const deliveryStateNames: EnumNames<DeliveryState> = namesOf(DeliveryState as unknown as EnumObject);

/** Roles of tokens. */
export const roleNames: EnumNames<Role> = namesOf(Role as unknown as EnumObject);

/** Kinds of facts by which machines and parts are found. */
export const matchKindNames: EnumNames<MatchKind> = namesOf(MatchKind as unknown as EnumObject);

const machineStyles: Partial<Record<MachineState, Style>> = {
  [MachineState.STALE]: "yellow",
  [MachineState.INSTALLATION_PENDING]: "cyan",
  [MachineState.INSTALLATION_GIVEN]: "cyan",
  [MachineState.INSTALLING]: "cyan",
  [MachineState.INSTALLATION_OVERDUE]: "yellow",
  [MachineState.INSTALLATION_FAILED]: "red",
  [MachineState.INSTALLED]: "green",
  [MachineState.HEARTBEATING]: "green",
};

const installationStyles: Partial<Record<InstallationState, Style>> = {
  [InstallationState.PENDING]: "cyan",
  [InstallationState.GIVEN]: "cyan",
  [InstallationState.INSTALLING]: "cyan",
  [InstallationState.OVERDUE]: "yellow",
  [InstallationState.FAILED]: "red",
  [InstallationState.SUCCEEDED]: "green",
};

const severityStyles: Partial<Record<HealthSeverity, Style>> = {
  [HealthSeverity.CRITICAL]: "red",
  [HealthSeverity.WARNING]: "yellow",
};

/** Returns the severity of a health alert for a table. */
export function showHealthSeverity(severity: HealthSeverity): StyledCell {
  return { text: healthSeverityNames.nameOf(severity), style: severityStyles[severity] };
}

/** Returns a machine's state for a table. */
export function showMachineState(state: MachineState): StyledCell {
  return { text: machineStateNames.nameOf(state), style: machineStyles[state] };
}

/** Returns an installation's state for a table. */
export function showInstallationState(state: InstallationState): StyledCell {
  return { text: installationStateNames.nameOf(state), style: installationStyles[state] };
}

const enrolmentStyles: Partial<Record<EnrolmentState, Style>> = {
  [EnrolmentState.WAITING]: "yellow",
  [EnrolmentState.APPROVED]: "green",
  [EnrolmentState.REJECTED]: "red",
};

/** Returns an enrolment's state for a table. */
export function showEnrolmentState(state: EnrolmentState): StyledCell {
  return { text: enrolmentStateNames.nameOf(state), style: enrolmentStyles[state] };
}
