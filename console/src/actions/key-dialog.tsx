/** Registers the key of a machine's agent, or replaces the one that is registered. */
import { AgentService } from "@api/agent_service_pb.js";
import { createClient } from "@connectrpc/connect";
import { useTransport } from "@connectrpc/connect-query";
import { useState } from "react";
import { parsePublicKey } from "../../../src/contract/public-key.ts";
import { TextField } from "../ui/fields.tsx";
import { toCommand } from "../ui/shell-words.ts";
import { ActionDialog } from "./action-dialog.tsx";
import { actOnOne } from "./run.ts";
import type { Targets } from "./targets.ts";

/** Asks for the key. A key that somebody else has registered meanwhile is not replaced. */
export function KeyDialog(props: {
  readonly targets: Targets;
  readonly isReplacement: boolean;
  readonly onClose: () => void;
}) {
  const { targets, isReplacement, onClose } = props;
  const transport = useTransport();
  const [text, setText] = useState("");
  const verb = isReplacement ? "replace" : "register";
  return (
    <ActionDialog
      action={isReplacement ? "Replace the key of" : "Register the key of"}
      targets={targets}
      command={`bmaas agents ${verb} ${targets.words} ${toCommand(text.trim() || "PUBLIC_KEY")}`}
      onClose={onClose}
      prepare={() => {
        const publicKey = readKey(text);
        if (typeof publicKey === "string") return publicKey;
        const client = createClient(AgentService, transport);
        return actOnOne(({ machineId, publicKey: expectedPublicKey }) =>
          isReplacement
            ? client.replaceAgent({ machineId, publicKey, ...(expectedPublicKey && { expectedPublicKey }) })
            : client.registerAgent({ machineId, publicKey }),
        );
      }}
    >
      {isReplacement && <p>The key that is registered stops working at once.</p>}
      <TextField label="Public key" hint="As bmaas agent keygen prints it." isMono value={text} onChange={setText} />
    </ActionDialog>
  );
}

/** Returns the key, or what is wrong with it. */
function readKey(text: string): Uint8Array<ArrayBuffer> | string {
  try {
    return new Uint8Array(parsePublicKey(text.trim()));
  } catch (error) {
    return `This is no public key: ${(error as Error).message}.`;
  }
}
