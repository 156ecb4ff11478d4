/** Converts machines from the database to messages for operators. */
import { create } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import {
  type Agent,
  AgentSchema,
  type Expected,
  ExpectedSchema,
  type HardwareSummary,
  HardwareSummarySchema,
  type Health,
  HealthSchema,
  HealthSeverity,
  type Hold,
  HoldSchema,
  type Machine,
  MachineSchema,
  MachineState,
  type Provided,
  ProvidedSchema,
  ProviderStatus,
} from "../../../gen/bmaas/admin/v1/machine_pb.js";
import type { HoldRow } from "../../db/queries/machine-hold.ts";
import type { MachineOverview } from "../../db/queries/machine-overview.ts";
import { toInstallation } from "../installation/to-installation.ts";
import { toIssue } from "../issue/to-issue.ts";

/** States of the contract, by their names in the database. */
export const machineStates = {
  not_provided: MachineState.NOT_PROVIDED,
  no_agent: MachineState.NO_AGENT,
  never_heartbeated: MachineState.NEVER_HEARTBEATED,
  heartbeating: MachineState.HEARTBEATING,
  stale: MachineState.STALE,
  installation_pending: MachineState.INSTALLATION_PENDING,
  installation_given: MachineState.INSTALLATION_GIVEN,
  installing: MachineState.INSTALLING,
  installation_overdue: MachineState.INSTALLATION_OVERDUE,
  installation_failed: MachineState.INSTALLATION_FAILED,
  installed: MachineState.INSTALLED,
} as const satisfies Record<MachineOverview["state"], MachineState>;

/** Provider statuses of the contract, by their names in the database. */
export const providerStatuses = {
  unknown: ProviderStatus.UNSPECIFIED,
  provisioning: ProviderStatus.PROVISIONING,
  running: ProviderStatus.RUNNING,
  stopped: ProviderStatus.STOPPED,
  missing: ProviderStatus.MISSING,
  failed: ProviderStatus.FAILED,
} as const satisfies Record<NonNullable<MachineOverview["provided"]>["status"], ProviderStatus>;

/** Severities of the contract, by their names in the database. */
export const severities = {
  info: HealthSeverity.INFO,
  warning: HealthSeverity.WARNING,
  critical: HealthSeverity.CRITICAL,
} as const satisfies Record<NonNullable<MachineOverview["health"]["severity"]>, HealthSeverity>;

/** Converts one machine. */
export function toMachine(overview: MachineOverview): Machine {
  const {
    machine,
    state,
    since,
    overdueSince,
    labels,
    hold,
    health,
    provided,
    agent,
    hardware,
    installation,
    installationState,
    expected,
  } = overview;
  return create(MachineSchema, {
    id: machine.id,
    createTime: timestampFromDate(machine.createdAt),
    state: machineStates[state],
    stateTime: timestampFromDate(since),
    ...(expected && { expected: toExpected(expected, agent === null && machine.agentRevokedAt === null) }),
    ...(overdueSince && { stateOverdueTime: timestampFromDate(overdueSince) }),
    labels,
    issues: overview.issues.map(toIssue),
    ...(hold && { hold: toHold(hold) }),
    ...(health.severity !== null && { health: toHealth(health, severities[health.severity]) }),
    ...(provided && { provided: toProvided(provided) }),
    ...(agent && { agent: toAgent(agent, overview.heartbeat) }),
    ...(hardware && { hardware: toHardwareSummary(hardware) }),
    ...(installation &&
      installationState && { installation: toInstallation({ ...installation, ...installationState }) }),
  });
}

function toExpected(row: NonNullable<MachineOverview["expected"]>, missing: boolean): Expected {
  const { serialNumber, systemUuid, macAddresses } = row;
  return create(ExpectedSchema, {
    ...{ serialNumber: serialNumber ?? "", systemUuid: systemUuid ?? "", macAddresses, missing },
  });
}

/** Converts a hold. */
export function toHold({ reason, ticket, heldAt, heldBy, until, isMuted }: Omit<HoldRow, "machineId">): Hold {
  return create(HoldSchema, {
    reason,
    ticket: ticket ?? "",
    holdTime: timestampFromDate(heldAt),
    actor: heldBy,
    ...(until && { endTime: timestampFromDate(until) }),
    muted: isMuted,
  });
}

function toHealth({ alerts, blocksInstall, mutes }: MachineOverview["health"], severity: HealthSeverity): Health {
  return create(HealthSchema, { severity, alerts, blocksInstall, muted: mutes });
}

function toProvided(row: NonNullable<MachineOverview["provided"]>): Provided {
  return create(ProvidedSchema, {
    provider: row.provider,
    providerId: row.providerId,
    reservation: row.reservation ?? "",
    address: row.address ?? "",
    location: row.location ?? "",
    status: providerStatuses[row.status],
  });
}

function toAgent(row: NonNullable<MachineOverview["agent"]>, heartbeat: MachineOverview["heartbeat"]): Agent {
  return create(AgentSchema, {
    publicKey: row.publicKey,
    registerTime: timestampFromDate(row.startedAt),
    ...(heartbeat && {
      heartbeatTime: timestampFromDate(heartbeat.heartbeatAt),
      quietUntilTime: timestampFromDate(heartbeat.quietUntil),
      version: heartbeat.agentVersion ?? "",
      bootId: heartbeat.bootId ?? "",
    }),
  });
}

function toHardwareSummary(row: NonNullable<MachineOverview["hardware"]>): HardwareSummary {
  return create(HardwareSummarySchema, {
    reportTime: timestampFromDate(row.reportedAt),
    manufacturer: row.manufacturer ?? "",
    product: row.product ?? "",
    serialNumber: row.serialNumber ?? "",
    memoryBytes: row.memoryBytes ?? 0n,
    cpuThreads: row.cpuThreads ?? 0,
    diskBytes: row.diskBytes ?? 0n,
    largestDiskBytes: row.largestDiskBytes ?? 0n,
  });
}
