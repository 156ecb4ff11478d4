/** Requests installations again that failed, are overdue or are withheld. */
import { InstallationService } from "@api/installation_service_pb.js";
import { createClient } from "@connectrpc/connect";
import { useTransport } from "@connectrpc/connect-query";
import type { Targets } from "./targets.ts";
import { type Wipe, WipeDialog } from "./wipe-dialog.tsx";

/** Asks for each machine which disk would be wiped, and retries. */
export function RetryDialog({ targets, onClose }: { readonly targets: Targets; readonly onClose: () => void }) {
  const transport = useTransport();
  const wipe: Wipe = async ([target], { validateOnly, findDisk }) => {
    if (target === undefined) return { installations: [], failures: [] };
    const { machineId, generation: expectedGeneration } = target;
    const request = { machineId, expectedGeneration, validateOnly, expectedDisk: findDisk(machineId) };
    const { installation } = await createClient(InstallationService, transport).retryInstallation(request);
    return { installations: installation === undefined ? [] : [installation], failures: [] };
  };
  return <WipeDialog action="Install again" targets={targets} partSize={1} wipe={wipe} onClose={onClose} />;
}
