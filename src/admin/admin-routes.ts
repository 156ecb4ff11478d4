/** All services of bmaas.admin.v1, each method by the file of its name. */
import type { ConnectRouter } from "@connectrpc/connect";
import { MachineService } from "../../gen/bmaas/admin/v1/machine_service_pb.js";
import type { AdminContext } from "./admin-context.ts";
import { createGetMachine } from "./machine/get-machine.ts";
import { createWatchMachines } from "./watch/watch-machines.ts";

/** Registers the services. */
export function createAdminRoutes(context: AdminContext): (router: ConnectRouter) => void {
  return (router) => {
    router.service(MachineService, {
      getMachine: createGetMachine(context),
      watchMachines: createWatchMachines(context),
    });
  };
}
