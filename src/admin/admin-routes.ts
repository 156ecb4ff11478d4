/** All services of bmaas.admin.v1. Each method is in the file of its name. */
import type { ConnectRouter } from "@connectrpc/connect";
import { AgentService } from "../../gen/bmaas/admin/v1/agent_service_pb.js";
import { EnrolmentService } from "../../gen/bmaas/admin/v1/enrolment_service_pb.js";
import { FleetService } from "../../gen/bmaas/admin/v1/fleet_service_pb.js";
import { HardwareService } from "../../gen/bmaas/admin/v1/hardware_service_pb.js";
import { HealthService } from "../../gen/bmaas/admin/v1/health_service_pb.js";
import { HistoryService } from "../../gen/bmaas/admin/v1/history_service_pb.js";
import { InstallationService } from "../../gen/bmaas/admin/v1/installation_service_pb.js";
import { IssueService } from "../../gen/bmaas/admin/v1/issue_service_pb.js";
import { JoinTokenService } from "../../gen/bmaas/admin/v1/join_token_service_pb.js";
import { MachineService } from "../../gen/bmaas/admin/v1/machine_service_pb.js";
import { ReceiverService } from "../../gen/bmaas/admin/v1/receiver_service_pb.js";
import { ServerService } from "../../gen/bmaas/admin/v1/server_service_pb.js";
import { TokenService } from "../../gen/bmaas/admin/v1/token_service_pb.js";
import type { AdminContext } from "./admin-context.ts";
import { createBatchRegisterAgents, createRegisterAgent } from "./agent/register-agent.ts";
import { createReplaceAgent } from "./agent/replace-agent.ts";
import { createRevokeAgent } from "./agent/revoke-agent.ts";
import { createApproveEnrolment } from "./enrolment/approve-enrolment.ts";
import { createForgetEnrolment } from "./enrolment/forget-enrolment.ts";
import { createGetEnrolment } from "./enrolment/get-enrolment.ts";
import { createListEnrolments } from "./enrolment/list-enrolments.ts";
import { createRejectEnrolment } from "./enrolment/reject-enrolment.ts";
import { createGetFleet } from "./fleet/get-fleet.ts";
import { createListFleetSamples } from "./fleet/list-fleet-samples.ts";
import { createFindParts } from "./hardware/find-parts.ts";
import { createListHardwareReports } from "./hardware/list-hardware-reports.ts";
import { createGetHealth } from "./health/get-health.ts";
import { createPutHealth } from "./health/put-health.ts";
import { createListEvents } from "./history/list-events.ts";
import { createBatchCancelInstallations, createCancelInstallation } from "./installation/cancel-installation.ts";
import { createGetInstallation } from "./installation/get-installation.ts";
import { createListInstallations } from "./installation/list-installations.ts";
import { createBatchRequestInstallations, createRequestInstallation } from "./installation/request-installation.ts";
import { createBatchRetryInstallations, createRetryInstallation } from "./installation/retry-installation.ts";
import { createListIssues } from "./issue/list-issues.ts";
import { createCreateJoinToken } from "./join-token/create-join-token.ts";
import { createListJoinTokens } from "./join-token/list-join-tokens.ts";
import { createRevokeJoinToken } from "./join-token/revoke-join-token.ts";
import { createBatchClearHolds, createClearHold } from "./machine/clear-hold.ts";
import { createBatchCreateMachines, createCreateMachine } from "./machine/create-machine.ts";
import { createDeleteMachine } from "./machine/delete-machine.ts";
import { createExplainMachine } from "./machine/explain-machine.ts";
import { createFindMachines } from "./machine/find-machines.ts";
import { createGetMachine } from "./machine/get-machine.ts";
import { createListMachines } from "./machine/list-machines.ts";
import { createBatchSetExpected, createSetExpected } from "./machine/set-expected.ts";
import { createBatchSetHolds, createSetHold } from "./machine/set-hold.ts";
import { createBatchSetLabels, createSetLabels } from "./machine/set-labels.ts";
import { createBatchSetProvided, createSetProvided } from "./machine/set-provided.ts";
import { createAddReceiverSecret } from "./receiver/add-receiver-secret.ts";
import { createCreateReceiver } from "./receiver/create-receiver.ts";
import { createDeleteReceiver } from "./receiver/delete-receiver.ts";
import { createListDeliveries } from "./receiver/list-deliveries.ts";
import { createListReceivers } from "./receiver/list-receivers.ts";
import { createProbeReceiver } from "./receiver/probe-receiver.ts";
import { createResendDeliveries } from "./receiver/resend-deliveries.ts";
import { createRetireReceiverSecrets } from "./receiver/retire-receiver-secrets.ts";
import { createGetServer } from "./server/get-server.ts";
import { createCreateToken } from "./token/create-token.ts";
import { answerGetCaller } from "./token/get-caller.ts";
import { createListTokens } from "./token/list-tokens.ts";
import { createRevokeToken } from "./token/revoke-token.ts";
import { createWatchMachines } from "./watch/watch-machines.ts";

/** Returns a function that registers the services of bmaas.admin.v1 on a router. */
export function createAdminRoutes(context: AdminContext): (router: ConnectRouter) => void {
  return (router) => {
    router.service(HealthService, { putHealth: createPutHealth(context), getHealth: createGetHealth(context) });
    router.service(HardwareService, {
      listHardwareReports: createListHardwareReports(context),
      findParts: createFindParts(context),
    });
    router.service(HistoryService, { listEvents: createListEvents(context) });
    router.service(InstallationService, {
      requestInstallation: createRequestInstallation(context),
      batchRequestInstallations: createBatchRequestInstallations(context),
      retryInstallation: createRetryInstallation(context),
      batchRetryInstallations: createBatchRetryInstallations(context),
      cancelInstallation: createCancelInstallation(context),
      batchCancelInstallations: createBatchCancelInstallations(context),
      getInstallation: createGetInstallation(context),
      listInstallations: createListInstallations(context),
    });
    router.service(AgentService, {
      registerAgent: createRegisterAgent(context),
      batchRegisterAgents: createBatchRegisterAgents(context),
      replaceAgent: createReplaceAgent(context),
      revokeAgent: createRevokeAgent(context),
    });
    router.service(EnrolmentService, {
      listEnrolments: createListEnrolments(context),
      getEnrolment: createGetEnrolment(context),
      approveEnrolment: createApproveEnrolment(context),
      rejectEnrolment: createRejectEnrolment(context),
      forgetEnrolment: createForgetEnrolment(context),
    });
    router.service(JoinTokenService, {
      createJoinToken: createCreateJoinToken(context),
      listJoinTokens: createListJoinTokens(context),
      revokeJoinToken: createRevokeJoinToken(context),
    });
    router.service(TokenService, {
      createToken: createCreateToken(context),
      listTokens: createListTokens(context),
      revokeToken: createRevokeToken(context),
      getCaller: answerGetCaller,
    });
    router.service(FleetService, {
      getFleet: createGetFleet(context),
      listFleetSamples: createListFleetSamples(context),
    });
    router.service(ReceiverService, {
      createReceiver: createCreateReceiver(context),
      listReceivers: createListReceivers(context),
      deleteReceiver: createDeleteReceiver(context),
      addReceiverSecret: createAddReceiverSecret(context),
      retireReceiverSecrets: createRetireReceiverSecrets(context),
      probeReceiver: createProbeReceiver(context),
      resendDeliveries: createResendDeliveries(context),
      listDeliveries: createListDeliveries(context),
    });
    router.service(ServerService, { getServer: createGetServer(context) });
    router.service(IssueService, { listIssues: createListIssues(context) });
    router.service(MachineService, {
      createMachine: createCreateMachine(context),
      batchCreateMachines: createBatchCreateMachines(context),
      getMachine: createGetMachine(context),
      listMachines: createListMachines(context),
      findMachines: createFindMachines(context),
      deleteMachine: createDeleteMachine(context),
      setProvided: createSetProvided(context),
      batchSetProvided: createBatchSetProvided(context),
      setExpected: createSetExpected(context),
      batchSetExpected: createBatchSetExpected(context),
      setLabels: createSetLabels(context),
      batchSetLabels: createBatchSetLabels(context),
      setHold: createSetHold(context),
      batchSetHolds: createBatchSetHolds(context),
      clearHold: createClearHold(context),
      batchClearHolds: createBatchClearHolds(context),
      explainMachine: createExplainMachine(context),
      watchMachines: createWatchMachines(context),
    });
  };
}
