/** Creates and revokes tokens. */
import { Role } from "@api/role_pb.js";
import { type Token, TokenService } from "@api/token_service_pb.js";
import { useMutation } from "@connectrpc/connect-query";
import { useState } from "react";
import { useAskAgain } from "../../live/use-refresh.ts";
import { roleNames } from "../../session/session.ts";
import { useSessionTokenId } from "../../session/use-session.ts";
import { ConfirmAction } from "../../ui/confirm-action.tsx";
import { expiries, toExpireTime } from "../../ui/expiry.ts";
import { SelectField, TextField, Tick } from "../../ui/fields.tsx";
import { SecretOnce } from "../../ui/secret-once.tsx";
import { toCommand } from "../../ui/shell-words.ts";

const roles = [Role.VIEWER, Role.OPERATOR, Role.ADMIN] as const;

const abilities: Readonly<Record<(typeof roles)[number], string>> = {
  [Role.VIEWER]: "viewer: reads everything except secrets",
  [Role.OPERATOR]: "operator: also changes machines and installs",
  [Role.ADMIN]: "admin: also manages tokens and deletes machines",
};

/** Asks for whom, creates the token, and shows its secret. */
export function CreateToken({ onClose }: { readonly onClose: () => void }) {
  const [name, setName] = useState("");
  const [role, setRole] = useState<Role>(Role.VIEWER);
  const [expires, setExpires] = useState("90d");
  const askAgain = useAskAgain(TokenService.method.listTokens);
  const create = useMutation(TokenService.method.createToken, { onSettled: () => void askAgain() });
  if (create.data !== undefined) {
    return <SecretOnce what={`the token ${create.data.token?.name}`} secret={create.data.secret} onClose={onClose} />;
  }
  return (
    <ConfirmAction
      title="Create a token"
      action="Create the token"
      command={toCommand(
        ...["bmaas", "tokens", "create", name.trim() || "NAME", "--role", roleNames[role]],
        ...(expires === "" ? [] : ["--expires", expires]),
      )}
      isBusy={create.isPending}
      givesSecret
      error={create.error}
      onClose={onClose}
      onConfirm={() =>
        create.mutate({ name: name.trim(), role, ...(expires !== "" && { expireTime: toExpireTime(expires) }) })
      }
    >
      <TextField label="Who will use it" value={name} isRequired placeholder="alice, or ci" onChange={setName} />
      <SelectField
        label="Role"
        value={String(role)}
        choices={roles.map((each) => [String(each), abilities[each]])}
        onChange={(value) => setRole(Number(value) as Role)}
      />
      <SelectField
        label="Valid for"
        value={expires}
        choices={[...expiries, ["", "until it is revoked"]]}
        onChange={setExpires}
      />
    </ConfirmAction>
  );
}

/** Asks, and revokes a token. */
export function RevokeToken({ token, onClose }: { readonly token: Token; readonly onClose: () => void }) {
  const { id: tokenId, name, role } = token;
  const [force, setForce] = useState(false);
  const isOwn = useSessionTokenId() === tokenId;
  const askAgain = useAskAgain(TokenService.method.listTokens);
  const revoke = useMutation(TokenService.method.revokeToken, { onSettled: () => void askAgain() });
  return (
    <ConfirmAction
      title={`Revoke the token ${name}?`}
      action="Revoke the token"
      kind="danger"
      command={toCommand("bmaas", "tokens", "revoke", tokenId, ...(force ? ["--force"] : []))}
      isBusy={revoke.isPending}
      error={revoke.error}
      onClose={onClose}
      onConfirm={() => revoke.mutate({ tokenId, force }, { onSuccess: onClose })}
    >
      {isOwn && (
        <p className="trouble">
          <b>You are signed in with this token.</b> This page ends with it: keep another token at hand to sign in again.
        </p>
      )}
      <p>Whoever uses it is refused from the next call on. A revoked token never works again.</p>
      {role === Role.ADMIN && (
        <Tick name="Even if it is the last one" isOn={force} onChange={setForce}>
          Without an administrator's token, only somebody at the database can make another one.
        </Tick>
      )}
    </ConfirmAction>
  );
}
