/** Reads again what the page shows of a machine when that machine changes. */
import { HardwareService } from "@api/hardware_service_pb.js";
import { HealthService } from "@api/health_service_pb.js";
import { HistoryService } from "@api/history_service_pb.js";
import { InstallationService } from "@api/installation_service_pb.js";
import { MachineService, type WatchMachinesResponse } from "@api/machine_service_pb.js";
import { useRefresh } from "../../live/use-refresh.ts";

/** Keeps the page of a machine current: all that it shows beside the machine itself, which live changes bring. */
export function useMachineChanges(machineId: string): void {
  const concerns = (change: WatchMachinesResponse) => change.machineId === machineId;
  useRefresh(MachineService.method.explainMachine, concerns);
  useRefresh(HardwareService.method.listHardwareReports, concerns);
  useRefresh(HealthService.method.getHealth, concerns);
  useRefresh(InstallationService.method.getInstallation, concerns);
  useRefresh(InstallationService.method.listInstallations, concerns);
  useRefresh(HistoryService.method.listEvents, concerns);
}
