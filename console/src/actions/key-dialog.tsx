/** Registers the key of a machine's agent, replaces the one that is registered, and revokes keys. */
import { AgentService } from "@api/agent_service_pb.js";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
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
      action={isReplacement ? "Replace the key" : "Register the key"}
      preposition="of"
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

/** Asks, and revokes the keys. A key that somebody else has registered meanwhile is not revoked. */
export function RevokeDialog({ targets, onClose }: { readonly targets: Targets; readonly onClose: () => void }) {
  const transport = useTransport();
  return (
    <ActionDialog
      action="Revoke the key"
      preposition="of"
      isDanger
      targets={targets}
      command={`bmaas agents revoke ${targets.words}`}
      onClose={onClose}
      prepare={() => {
        const client = createClient(AgentService, transport);
        return actOnOne(async ({ machineId, publicKey: expectedPublicKey }) => {
          if (expectedPublicKey === undefined) {
            throw new ConnectError("no key was registered when the machine was selected", Code.FailedPrecondition);
          }
          await client.revokeAgent({ machineId, expectedPublicKey });
        });
      }}
    >
      <p>
        The agent's next call is refused. Nobody hears how an installation ends that it was given. The machine stays,
        and gets another agent when a key is registered or an enrolment is approved for it.
      </p>
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
