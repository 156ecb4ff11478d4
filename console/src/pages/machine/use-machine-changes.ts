/** Reads again what the page shows of a machine when that machine changes. */
import { HardwareService } from "@api/hardware_service_pb.js";
import { HealthService } from "@api/health_service_pb.js";
import { HistoryService } from "@api/history_service_pb.js";
import { InstallationService } from "@api/installation_service_pb.js";
import { MachineService } from "@api/machine_service_pb.js";
import { createConnectQueryKey } from "@connectrpc/connect-query";
import { useQueryClient } from "@tanstack/react-query";
import { useEffect, useRef } from "react";
import { useChanges } from "../../live/live-provider.tsx";

/** Changes within this time are read together, in milliseconds. */
const gatherMs = 200;

/** All that the page reads beside the machine itself, which live changes bring. */
const keys = [
  createConnectQueryKey({ schema: MachineService.method.explainMachine, cardinality: "finite" }),
  createConnectQueryKey({ schema: HardwareService.method.listHardwareReports, cardinality: "finite" }),
  createConnectQueryKey({ schema: HealthService.method.getHealth, cardinality: "finite" }),
  createConnectQueryKey({ schema: InstallationService.method.getInstallation, cardinality: "finite" }),
  createConnectQueryKey({ schema: InstallationService.method.listInstallations, cardinality: "infinite" }),
  createConnectQueryKey({ schema: HistoryService.method.listEvents, cardinality: "infinite" }),
];

/** Keeps the page of a machine current. Only queries that something on the page uses are asked again. */
export function useMachineChanges(machineId: string): void {
  const queries = useQueryClient();
  const timer = useRef<number>(undefined);
  useEffect(() => () => window.clearTimeout(timer.current), []);
  useChanges((changes) => {
    if (timer.current !== undefined || !changes.some((change) => change.machineId === machineId)) return;
    timer.current = window.setTimeout(() => {
      timer.current = undefined;
      for (const queryKey of keys) void queries.invalidateQueries({ queryKey });
    }, gatherMs);
  });
}
