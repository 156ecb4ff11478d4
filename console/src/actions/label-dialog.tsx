/** Sets and removes labels of machines. */

import { BatchMode } from "@api/batch_pb.js";
import { MachineService } from "@api/machine_service_pb.js";
import { createClient } from "@connectrpc/connect";
import { useTransport } from "@connectrpc/connect-query";
import { useState } from "react";
import { parseLabelKey, parseLabelValue } from "../../../src/contract/labels.ts";
import { TextField } from "../ui/fields.tsx";
import { toCommand } from "../ui/shell-words.ts";
import { ActionDialog } from "./action-dialog.tsx";
import { batchSize, toFailures } from "./run.ts";
import type { Targets } from "./targets.ts";

/** Asks which labels, as the command line writes them, and changes them. */
export function LabelDialog({ targets, onClose }: { readonly targets: Targets; readonly onClose: () => void }) {
  const transport = useTransport();
  const [text, setText] = useState("");
  const words = text.split(/\s+/).filter(Boolean);
  return (
    <ActionDialog
      action="Label"
      targets={targets}
      partSize={batchSize}
      command={`bmaas machines label ${targets.words} ${toCommand(...words) || "KEY=VALUE"}`}
      onClose={onClose}
      prepare={() => {
        const change = readWords(words);
        if (typeof change === "string") return change;
        const client = createClient(MachineService, transport);
        return async (part) => {
          const { failedRequests } = await client.batchSetLabels({
            requests: part.map(({ machineId }) => ({ machineId, ...change })),
            mode: BatchMode.PARTIAL_SUCCESS,
            omitMachines: true,
          });
          return toFailures(part, failedRequests);
        };
      }}
    >
      <TextField
        label="Labels"
        hint="KEY=VALUE sets a label, KEY- removes one. Others stay as they are."
        placeholder="rack=r12 team-"
        value={text}
        onChange={setText}
      />
    </ActionDialog>
  );
}

interface LabelChange {
  readonly set: Record<string, string>;
  readonly remove: string[];
}

/** Returns the change, or what is wrong with a word. */
function readWords(words: readonly string[]): LabelChange | string {
  if (words.length === 0) return "Name a label: KEY=VALUE sets it, KEY- removes it.";
  const set = new Map<string, string>();
  const remove = new Set<string>();
  for (const word of words) {
    const equals = word.indexOf("=");
    const key = equals >= 0 ? word.slice(0, equals) : word.endsWith("-") ? word.slice(0, -1) : undefined;
    if (key === undefined) return `"${word}" is no label: write KEY=VALUE to set it, KEY- to remove it.`;
    if (set.has(key) || remove.has(key)) return `"${key}" is given twice.`;
    try {
      parseLabelKey(key);
      if (equals >= 0) set.set(key, parseLabelValue(word.slice(equals + 1)));
      else remove.add(key);
    } catch (error) {
      return `"${word}" ${(error as Error).message}.`;
    }
  }
  return { set: Object.fromEntries(set), remove: [...remove] };
}
