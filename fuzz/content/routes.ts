/** What can be called on either listener, from the contracts, and what cannot. */
import type { DescMethod, DescService } from "@bufbuild/protobuf";
import { AgentService } from "../../gen/bmaas/admin/v1/agent_service_pb.js";
import { EnrolmentService as EnrolmentDecisions } from "../../gen/bmaas/admin/v1/enrolment_service_pb.js";
import { FleetService } from "../../gen/bmaas/admin/v1/fleet_service_pb.js";
import { HardwareService } from "../../gen/bmaas/admin/v1/hardware_service_pb.js";
import { HistoryService } from "../../gen/bmaas/admin/v1/history_service_pb.js";
import { InstallationService } from "../../gen/bmaas/admin/v1/installation_service_pb.js";
import { JoinTokenService } from "../../gen/bmaas/admin/v1/join_token_service_pb.js";
import { MachineService } from "../../gen/bmaas/admin/v1/machine_service_pb.js";
import { TokenService } from "../../gen/bmaas/admin/v1/token_service_pb.js";
import { EnrolmentService } from "../../gen/bmaas/agent/v1/enrolment_service_pb.js";
import { AgentCallback } from "../../gen/cloud/bmaas/server/api/agent_pb.js";
import { Health } from "../../gen/grpc/health/v1/health_pb.js";
import { ServerReflection } from "../../gen/grpc/reflection/v1/reflection_pb.js";
import { ServerReflection as ServerReflectionAlpha } from "../../gen/grpc/reflection/v1alpha/reflection_pb.js";

/** Where a request goes. */
export interface Route {
  readonly path: string;
  /** The RPC there; undefined for a page, or for nothing at all. */
  readonly rpc: DescMethod | undefined;
}

/** Listeners by who calls them. */
export type Side = "agents" | "operators";

function listRpcs(services: readonly DescService[]): Route[] {
  return services.flatMap((service) =>
    service.methods.map((rpc) => ({ path: `/${service.typeName}/${rpc.name}`, rpc })),
  );
}

/** The RPCs of each listener. */
export const rpcs: Readonly<Record<Side, readonly Route[]>> = {
  agents: listRpcs([AgentCallback, EnrolmentService]),
  operators: listRpcs([
    ...[AgentService, FleetService, HardwareService, HistoryService, InstallationService, MachineService, TokenService],
    ...[EnrolmentDecisions, JoinTokenService],
    ...[Health, ServerReflection, ServerReflectionAlpha],
  ]),
};

/** Pages, and paths that nothing serves; the other listener's RPCs are among those. */
export const pages: Readonly<Record<Side, readonly Route[]>> = {
  agents: toPages(["/", "/healthz", "/favicon.ico", "/%2e%2e/", "//", "/?x=%", `/${"a".repeat(3_000)}`]).concat(
    rpcs.operators.slice(0, 3),
  ),
  operators: toPages(["/healthz", "/healthz", "/readyz", "/metrics", "/", "/%00", "/metrics/..", "*"]).concat(
    rpcs.agents,
  ),
};

function toPages(paths: readonly string[]): Route[] {
  return paths.map((path) => ({ path, rpc: undefined }));
}

/** Whether an RPC goes on until somebody ends it. */
export function isStreaming({ rpc }: Route): boolean {
  return rpc !== undefined && rpc.methodKind !== "unary";
}

/** Whether agents without a machine call it. */
export function isEnrolment({ rpc }: Route): boolean {
  return rpc === EnrolmentService.method.enrol;
}

/** RPCs that would take an agent's key away, and with it what proves that agent. */
export const identityChanges: ReadonlySet<string> = new Set([
  "RegisterAgent",
  "BatchRegisterAgents",
  "ReplaceAgent",
  "RevokeAgent",
  "ApproveEnrolment",
]);
