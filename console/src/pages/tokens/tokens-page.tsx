/** Tokens of operators and programs, newest first, without their secrets. */
import type { Role } from "@api/role_pb.js";
import { Role as Roles } from "@api/role_pb.js";
import { type Token, TokenService } from "@api/token_service_pb.js";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { createColumnHelper } from "@tanstack/react-table";
import { useMemo, useState } from "react";
import { roleNames } from "../../session/session.ts";
import { useMay } from "../../session/use-session.ts";
import { ActionButton } from "../../ui/action-button.tsx";
import { CopyableCommand } from "../../ui/copy.tsx";
import type { TableAbilities } from "../../ui/data-table.tsx";
import { Badge } from "../../ui/machine-state.tsx";
import { PagedTable } from "../../ui/paged-table.tsx";
import { SafeText } from "../../ui/safe-text.tsx";
import { Time, useIsPast } from "../../ui/time.tsx";
import { usePages } from "../../ui/use-pages.ts";
import { CreateToken, RevokeToken } from "./token-dialogs.tsx";

/** How often the list is asked for again, in milliseconds: no change tells of a token. */
const refreshMs = 10_000;

/** The page at /tokens. */
export function TokensPage() {
  const { ended = false } = useSearch({ from: "/tokens" });
  const navigate = useNavigate({ from: "/tokens" });
  const { may, reason } = useMay(Roles.ADMIN);
  const [isCreating, setIsCreating] = useState(false);
  const [revoked, setRevoked] = useState<Token>();
  const request = useMemo(() => ({ showEnded: ended }), [ended]);
  const pages = usePages({ method: TokenService.method.listTokens, request, pick, isWanted: may, refreshMs });
  const columns = useMemo(() => makeColumns(setRevoked), []);

  return (
    <>
      <h1>Tokens</h1>
      <div className="toolbar">
        <ActionButton kind="primary" reason={reason} onClick={() => setIsCreating(true)}>
          Create a token…
        </ActionButton>
        <label className="checkbox">
          <input
            type="checkbox"
            checked={ended}
            onChange={(event) => void navigate({ search: event.target.checked ? { ended: true } : {} })}
          />
          also revoked and expired ones
        </label>
      </div>
      {reason !== undefined && <p>{reason}</p>}
      {may && (
        <PagedTable
          caption="Tokens"
          columns={columns}
          pages={pages}
          getRowId={({ id }) => id}
          empty="There are no tokens."
        />
      )}
      <h2>In the terminal</h2>
      <CopyableCommand command={`bmaas tokens list${ended ? " --all" : ""}`} />
      {isCreating && <CreateToken onClose={() => setIsCreating(false)} />}
      {revoked !== undefined && <RevokeToken token={revoked} onClose={() => setRevoked(undefined)} />}
    </>
  );
}

const pick = (answer: { readonly tokens: readonly Token[] }) => answer.tokens;

const helper = createColumnHelper<TableAbilities, Token>();

function makeColumns(onRevoke: (token: Token) => void) {
  return helper.columns([
    helper.accessor("name", { header: "Name", cell: ({ getValue }) => <SafeText text={getValue()} limit={64} /> }),
    helper.accessor("role", { header: "Role", cell: ({ getValue }) => nameRole(getValue()) }),
    helper.display({ id: "state", header: "State", cell: ({ row }) => <TokenState token={row.original} /> }),
    helper.accessor("expireTime", {
      header: "Expires",
      cell: ({ getValue }) => <Time at={getValue()} as="age" />,
    }),
    helper.display({
      id: "actions",
      header: "",
      cell: ({ row }) => <RevokeButton token={row.original} onRevoke={onRevoke} />,
    }),
    helper.accessor("createTime", {
      header: "Created",
      cell: ({ getValue, row }) => (
        <>
          <Time at={getValue()} as="age" /> by <SafeText text={row.original.creator} limit={40} />
        </>
      ),
    }),
    helper.accessor("id", { header: "Id", cell: ({ getValue }) => <code>{getValue()}</code> }),
  ]);
}

function nameRole(role: Role): string {
  return roleNames[role] ?? `role ${role}`;
}

/** Leads to the question, unless the token has ended. */
function RevokeButton(props: { readonly token: Token; readonly onRevoke: (token: Token) => void }) {
  const { token, onRevoke } = props;
  const isExpired = useIsPast(token.expireTime);
  if (token.revokeTime !== undefined || isExpired) return null;
  return (
    <button type="button" className="link" onClick={() => onRevoke(token)}>
      Revoke<span className="visually-hidden"> {token.name}</span>…
    </button>
  );
}

function TokenState({ token: { revokeTime, revoker, expireTime } }: { readonly token: Token }) {
  const isExpired = useIsPast(expireTime);
  if (revokeTime !== undefined) {
    return (
      <>
        <Badge tone="bad">revoked</Badge> <Time at={revokeTime} as="age" /> by <SafeText text={revoker} limit={40} />
      </>
    );
  }
  if (isExpired) return <Badge tone="calm">expired</Badge>;
  return <Badge tone="good">valid</Badge>;
}
