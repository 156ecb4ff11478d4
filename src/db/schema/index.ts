/** All tables and views, for Drizzle. */
export { adminRequest } from "./admin-request.ts";
export { adminToken } from "./admin-token.ts";
export { agentHeartbeat } from "./agent-heartbeat.ts";
export { agentStarted } from "./agent-started.ts";
export { deletedMachine } from "./deleted-machine.ts";
export { hardwareReport } from "./hardware-report.ts";
export { hardwareReportPast } from "./hardware-report-past.ts";
export { historyFloor } from "./history-floor.ts";
export { installationState } from "./installation-state.ts";
export { machine } from "./machine.ts";
export { machineHistory } from "./machine-history.ts";
export { machineState } from "./machine-state.ts";
export { osInstallationReport } from "./os-installation-report.ts";
export { osInstallationRequest } from "./os-installation-request.ts";
export { provided } from "./provided.ts";
