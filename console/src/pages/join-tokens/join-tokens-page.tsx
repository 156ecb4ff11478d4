/** Join tokens, which let agents in: newest first, without their secrets. */
import { type JoinToken, JoinTokenService } from "@api/join_token_service_pb.js";
import { Role } from "@api/role_pb.js";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { createColumnHelper } from "@tanstack/react-table";
import { useMemo, useState } from "react";
import { useRefresh } from "../../live/use-refresh.ts";
import { useMay } from "../../session/use-session.ts";
import { ActionButton } from "../../ui/action-button.tsx";
import { CopyableCommand } from "../../ui/copy.tsx";
import type { TableAbilities } from "../../ui/data-table.tsx";
import { formatCount } from "../../ui/format.ts";
import { writeLabels } from "../../ui/label-text.ts";
import { Badge } from "../../ui/machine-state.tsx";
import { PagedTable } from "../../ui/paged-table.tsx";
import { SafeText } from "../../ui/safe-text.tsx";
import { Time, useIsPast } from "../../ui/time.tsx";
import { usePages } from "../../ui/use-pages.ts";
import { CreateJoinToken, RevokeJoinToken } from "./join-token-dialogs.tsx";

/** How often the list is asked for again, in milliseconds: no change tells that a join token is created or revoked. */
const refreshMs = 10_000;

/** The page at /join-tokens. */
export function JoinTokensPage() {
  const { ended = false } = useSearch({ from: "/join-tokens" });
  const navigate = useNavigate({ from: "/join-tokens" });
  const { may, reason } = useMay(Role.OPERATOR);
  const [isCreating, setIsCreating] = useState(false);
  const [revoked, setRevoked] = useState<JoinToken>();
  const request = useMemo(() => ({ showEnded: ended }), [ended]);
  const pages = usePages({ method: JoinTokenService.method.listJoinTokens, request, pick, isWanted: may, refreshMs });
  // Each use of a token is a change of an enrolment.
  useRefresh(JoinTokenService.method.listJoinTokens, ({ enrolmentId }) => enrolmentId !== "");
  const columns = useMemo(() => makeColumns(setRevoked), []);

  return (
    <>
      <h1>Join tokens</h1>
      <p className="quiet">An agent with a join token is let in, or waits with what the token says of its machine.</p>
      <div className="toolbar">
        <ActionButton kind="primary" reason={reason} onClick={() => setIsCreating(true)}>
          Create a join token…
        </ActionButton>
        <label className="checkbox">
          <input
            type="checkbox"
            checked={ended}
            onChange={(event) => void navigate({ search: event.target.checked ? { ended: true } : {} })}
          />
          also revoked, expired and used up ones
        </label>
      </div>
      {reason !== undefined && <p>{reason}</p>}
      {may && (
        <PagedTable
          caption="Join tokens"
          columns={columns}
          pages={pages}
          getRowId={({ id }) => id}
          empty="There are no join tokens."
        />
      )}
      <h2>In the terminal</h2>
      <CopyableCommand command={`bmaas join-tokens list${ended ? " --all" : ""}`} />
      {isCreating && <CreateJoinToken onClose={() => setIsCreating(false)} />}
      {revoked !== undefined && <RevokeJoinToken token={revoked} onClose={() => setRevoked(undefined)} />}
    </>
  );
}

const pick = (answer: { readonly tokens: readonly JoinToken[] }) => answer.tokens;

const helper = createColumnHelper<TableAbilities, JoinToken>();

function makeColumns(onRevoke: (token: JoinToken) => void) {
  return helper.columns([
    helper.accessor("id", { header: "Id", cell: ({ getValue }) => <code>{getValue()}</code> }),
    helper.display({ id: "state", header: "State", cell: ({ row }) => <JoinTokenState token={row.original} /> }),
    helper.accessor("uses", {
      header: "Uses",
      cell: ({ getValue, row }) => `${formatCount(getValue())} of ${formatCount(row.original.maxUses)}`,
    }),
    helper.accessor("expireTime", { header: "Expires", cell: ({ getValue }) => <Time at={getValue()} as="age" /> }),
    helper.display({ id: "lets", header: "Lets in", cell: ({ row }) => nameGate(row.original) }),
    helper.accessor(({ provider, location }) => [provider, location].filter(Boolean).join(" "), {
      id: "place",
      header: "Place",
      cell: ({ getValue }) => <SafeText text={getValue()} limit={40} />,
    }),
    helper.accessor(({ labels }) => writeLabels(labels), {
      id: "labels",
      header: "Labels",
      cell: ({ getValue }) => <SafeText text={getValue()} limit={60} />,
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
  ]);
}

function nameGate({ requiresApproval, onlyExpected }: JoinToken): string {
  if (requiresApproval) return "after approval";
  return onlyExpected ? "expected machines" : "every machine";
}

/** Leads to the question, unless the token has ended. */
function RevokeButton(props: { readonly token: JoinToken; readonly onRevoke: (token: JoinToken) => void }) {
  const { token, onRevoke } = props;
  const isExpired = useIsPast(token.expireTime);
  if (token.revokeTime !== undefined || isExpired) return null;
  return (
    <button type="button" className="link" onClick={() => onRevoke(token)}>
      Revoke<span className="visually-hidden"> {token.id}</span>…
    </button>
  );
}

function JoinTokenState({ token: { revokeTime, revoker, expireTime, uses, maxUses } }: { readonly token: JoinToken }) {
  const isExpired = useIsPast(expireTime);
  if (revokeTime !== undefined) {
    return (
      <>
        <Badge tone="bad">revoked</Badge> by <SafeText text={revoker} limit={40} />
      </>
    );
  }
  if (isExpired) return <Badge tone="calm">expired</Badge>;
  if (uses >= maxUses) return <Badge tone="calm">used up</Badge>;
  return <Badge tone="good">valid</Badge>;
}
