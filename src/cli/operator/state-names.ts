/** Names of the contract's enum values as the command line shows them, with their colours. */

import { EnrolmentState } from "../../../gen/bmaas/admin/v1/enrolment_pb.js";
import { HealthEffect } from "../../../gen/bmaas/admin/v1/health_service_pb.js";
import { InstallationState } from "../../../gen/bmaas/admin/v1/installation_pb.js";
import { IssueSeverity } from "../../../gen/bmaas/admin/v1/issue_pb.js";
import { HealthSeverity, MachineState, ProviderStatus } from "../../../gen/bmaas/admin/v1/machine_pb.js";
import { MatchKind } from "../../../gen/bmaas/admin/v1/machine_service_pb.js";
import { DeliveryState } from "../../../gen/bmaas/admin/v1/receiver_service_pb.js";
import { Role } from "../../../gen/bmaas/admin/v1/role_pb.js";
import { enrolmentStates } from "../../contract/enrolment-selector.ts";
import { type EnumNames, namesOf } from "../../contract/enum-names.ts";
import { machineStates } from "../../contract/machine-selector.ts";
import type { Cell } from "./output.ts";

type StyledCell = Exclude<Cell, string>;
type Style = StyledCell["style"];

/** States of installations. */
export const installationStateNames: EnumNames<InstallationState> = namesOf(InstallationState);

/** Statuses of machines according to their providers. */
export const providerStatusNames: EnumNames<ProviderStatus> = namesOf(ProviderStatus);

/** Effects of health alerts. */
export const healthEffectNames: EnumNames<HealthEffect> = namesOf(HealthEffect);

const healthSeverityNames: EnumNames<HealthSeverity> = namesOf(HealthSeverity);
/** Severities of issues, the least urgent first. */
export const issueSeverityNames: EnumNames<IssueSeverity> = namesOf(IssueSeverity);

/** States of deliveries to receivers. */
export const deliveryStateNames: EnumNames<DeliveryState> = namesOf(DeliveryState);

/** Roles of tokens. */
export const roleNames: EnumNames<Role> = namesOf(Role);

/** Kinds of facts by which machines and parts are found. */
export const matchKindNames: EnumNames<MatchKind> = namesOf(MatchKind);

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
  return { text: machineStates.nameOf(state), style: machineStyles[state] };
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
  return { text: enrolmentStates.nameOf(state), style: enrolmentStyles[state] };
}
