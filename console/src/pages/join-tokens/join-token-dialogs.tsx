/** Creates and revokes join tokens. */
import { type JoinToken, JoinTokenService } from "@api/join_token_service_pb.js";
import { useMutation } from "@connectrpc/connect-query";
import { useState } from "react";
import { useAskAgain } from "../../live/use-refresh.ts";
import { ConfirmAction } from "../../ui/confirm-action.tsx";
import { expiries, toExpireTime } from "../../ui/expiry.ts";
import { SelectField, TextField } from "../../ui/fields.tsx";
import { readLabels } from "../../ui/label-text.ts";
import { SecretOnce } from "../../ui/secret-once.tsx";
import { toCommand } from "../../ui/shell-words.ts";

/** Whom a join token lets in. */
const gates = [
  ["every", "every agent that uses the token"],
  ["expected", "only agents of expected machines; others wait"],
  ["approval", "nobody by itself: each waits for an operator"],
] as const;

/** Asks for what, creates the join token, and shows its secret. */
export function CreateJoinToken({ onClose }: { readonly onClose: () => void }) {
  const [uses, setUses] = useState("1");
  const [expires, setExpires] = useState("1d");
  const [gate, setGate] = useState<string>("every");
  const [provider, setProvider] = useState("");
  const [location, setLocation] = useState("");
  const [labels, setLabels] = useState("");
  const [mistake, setMistake] = useState<Error>();
  const askAgain = useAskAgain(JoinTokenService.method.listJoinTokens);
  const create = useMutation(JoinTokenService.method.createJoinToken, { onSettled: () => void askAgain() });
  if (create.data !== undefined) {
    const { secret, token } = create.data;
    return <SecretOnce what={`the join token ${token?.id}`} secret={secret} onClose={onClose} />;
  }
  const option = (name: string, value: string) => (value.trim() === "" ? [] : [name, value.trim()]);
  const submit = () => {
    try {
      const read = readLabels(labels);
      setMistake(undefined);
      create.mutate({
        maxUses: Number(uses),
        expireTime: toExpireTime(expires),
        requiresApproval: gate === "approval",
        onlyExpected: gate === "expected",
        provider: provider.trim(),
        location: location.trim(),
        labels: read,
      });
    } catch (error) {
      setMistake(error as Error);
    }
  };
  return (
    <ConfirmAction
      title="Create a join token"
      action="Create the join token"
      command={toCommand(
        ...["bmaas", "join-tokens", "create", "--uses", uses.trim() || "1", "--expires", expires],
        ...(gate === "approval" ? ["--require-approval"] : []),
        ...(gate === "expected" ? ["--only-expected"] : []),
        ...option("--provider", provider),
        ...option("--location", location),
        ...labels.split(/\s+/).flatMap((each) => option("--label", each)),
      )}
      isBusy={create.isPending}
      givesSecret
      error={mistake?.message ?? create.error}
      onClose={onClose}
      onConfirm={submit}
    >
      <TextField label="How many agents may use it" type="number" isRequired value={uses} onChange={setUses} />
      <SelectField label="Valid for" value={expires} choices={expiries} onChange={setExpires} />
      <SelectField label="It lets in" value={gate} choices={gates} onChange={setGate} />
      <TextField label="Provider of the machines (optional)" value={provider} onChange={setProvider} />
      <TextField label="Location of the machines (optional)" value={location} onChange={setLocation} />
      <TextField label="Labels (optional)" value={labels} placeholder="rack=r12 row=3" onChange={setLabels} />
    </ConfirmAction>
  );
}

/** Asks, and revokes a join token. */
export function RevokeJoinToken({ token, onClose }: { readonly token: JoinToken; readonly onClose: () => void }) {
  const { id: tokenId } = token;
  const askAgain = useAskAgain(JoinTokenService.method.listJoinTokens);
  const revoke = useMutation(JoinTokenService.method.revokeJoinToken, { onSettled: () => void askAgain() });
  return (
    <ConfirmAction
      title={`Revoke the join token ${tokenId}?`}
      action="Revoke the join token"
      kind="danger"
      command={toCommand("bmaas", "join-tokens", "revoke", tokenId)}
      isBusy={revoke.isPending}
      error={revoke.error}
      onClose={onClose}
      onConfirm={() => revoke.mutate({ tokenId }, { onSuccess: onClose })}
    >
      <p>It lets nobody in any more. Agents that it has let in stay.</p>
    </ConfirmAction>
  );
}
