/** Ends what is there: cancels a pending installation, and deletes a machine. */
import { BatchMode } from "@api/batch_pb.js";
import { InstallationService } from "@api/installation_service_pb.js";
import { MachineService } from "@api/machine_service_pb.js";
import { createClient } from "@connectrpc/connect";
import { useTransport } from "@connectrpc/connect-query";
import { useState } from "react";
import { ActionDialog } from "./action-dialog.tsx";
import { actOnOne, batchSize, splitByInstallation, toFailures } from "./run.ts";
import type { Targets } from "./targets.ts";

interface EndProps {
  readonly targets: Targets;
  readonly onClose: () => void;
}

/** Asks, and cancels the installations that no agent has been given yet. */
export function CancelDialog({ targets, onClose }: EndProps) {
  const transport = useTransport();
  return (
    <ActionDialog
      action="Cancel the installation"
      preposition="of"
      targets={targets}
      partSize={batchSize}
      command={`bmaas install cancel ${targets.words}`}
      onClose={onClose}
      prepare={() => {
        const client = createClient(InstallationService, transport);
        return async (part) => {
          const { having, failures } = splitByInstallation(part);
          if (having.length === 0) return failures;
          const { failedRequests } = await client.batchCancelInstallations({
            requests: having.map(({ machineId, generation }) => ({ machineId, expectedGeneration: generation })),
            mode: BatchMode.PARTIAL_SUCCESS,
          });
          return [...failures, ...toFailures(having, failedRequests)];
        };
      }}
    >
      <p>Nothing is wiped. An installation that an agent has already been given cannot be cancelled.</p>
    </ActionDialog>
  );
}

/** Asks, and deletes the machines. */
export function DeleteDialog({ targets, onClose }: EndProps) {
  const transport = useTransport();
  const [isForced, setIsForced] = useState(false);
  return (
    <ActionDialog
      action="Delete"
      isDanger
      targets={targets}
      command={`bmaas machines delete ${targets.words}${isForced ? " --force" : ""}`}
      onClose={onClose}
      prepare={() => {
        const client = createClient(MachineService, transport);
        return actOnOne(({ machineId }) => client.deleteMachine({ machineId, force: isForced }));
      }}
    >
      <p>All data is deleted except the history. The agent's key stops working.</p>
      <p>
        <label>
          <input type="checkbox" checked={isForced} onChange={(event) => setIsForced(event.target.checked)} /> Also
          while an installation is open
        </label>
      </p>
    </ActionDialog>
  );
}
