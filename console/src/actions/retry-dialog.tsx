/** Requests installations again that failed, are overdue or are withheld. */
import { BatchMode } from "@api/batch_pb.js";
import { InstallationService } from "@api/installation_service_pb.js";
import { createClient } from "@connectrpc/connect";
import { useTransport } from "@connectrpc/connect-query";
import { batchSize, splitByInstallation, toFailures } from "./run.ts";
import type { Targets } from "./targets.ts";
import { type Wipe, WipeDialog } from "./wipe-dialog.tsx";

/** Asks for each machine which disk would be wiped, and retries. */
export function RetryDialog({ targets, onClose }: { readonly targets: Targets; readonly onClose: () => void }) {
  const transport = useTransport();
  const wipe: Wipe = async (part, { validateOnly, findConfirmed, isForced }) => {
    const { having, failures } = splitByInstallation(part);
    if (having.length === 0) return { installations: [], failures };
    const { installations, failedRequests } = await createClient(
      InstallationService,
      transport,
    ).batchRetryInstallations({
      requests: having.map(({ machineId, generation: expectedGeneration }) => {
        const expectedDisk = findConfirmed(machineId)?.disk?.id ?? "";
        return { machineId, expectedGeneration, expectedDisk, force: isForced(machineId) };
      }),
      mode: BatchMode.PARTIAL_SUCCESS,
      validateOnly,
    });
    return { installations, failures: [...failures, ...toFailures(having, failedRequests)] };
  };
  return <WipeDialog action="Install again" targets={targets} partSize={batchSize} wipe={wipe} onClose={onClose} />;
}
