/** One issue in words: what it means, where to look and what to do, as docs/issues.md says it. */
import type { Issue } from "@api/issue_pb.js";
import { useQuery } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { CopyableCommand } from "../../ui/copy.tsx";
import { Dialog } from "../../ui/dialog.tsx";
import { MachineLink } from "../../ui/machine-link.tsx";
import { SafeText } from "../../ui/safe-text.tsx";
import { ServerText } from "../../ui/server-text.tsx";
import { toCommand } from "../../ui/shell-words.ts";
import { Time } from "../../ui/time.tsx";

/** Shows an issue. */
export function IssueDialog({ issue, onClose }: { readonly issue: Issue; readonly onClose: () => void }) {
  const { machineId, type, sinceTime, target, detail, summary } = issue;
  return (
    <Dialog title={type.replaceAll("_", " ")} onClose={onClose}>
      <p>{summary.charAt(0).toUpperCase() + summary.slice(1)}.</p>
      <dl>
        <dt>Machine</dt>
        <dd>{machineId === "" ? "none: the server has the issue" : <MachineLink machineId={machineId} />}</dd>
        <dt>Since</dt>
        <dd>
          <Time at={sinceTime} /> (<Time at={sinceTime} as="age" />)
        </dd>
        {target !== "" && (
          <>
            <dt>Part</dt>
            <dd>
              <SafeText text={target} />
            </dd>
          </>
        )}
        {detail !== "" && (
          <>
            <dt>Detail</dt>
            <dd>
              <ServerText text={detail} />
            </dd>
          </>
        )}
      </dl>
      <Advice type={type} />
      <h2>In the terminal</h2>
      <CopyableCommand
        command={machineId === "" ? "bmaas status" : toCommand("bmaas", "machines", "explain", machineId)}
      />
    </Dialog>
  );
}

/** Shows the section of docs/issues.md about a type. */
function Advice({ type }: { readonly type: string }) {
  const { data } = useQuery({
    queryKey: ["issue-advice", type],
    queryFn: async () => (await import("./issue-advice.ts")).findAdvice(type),
    staleTime: Number.POSITIVE_INFINITY,
  });
  if (data === undefined || data.length === 0) return null;
  return (
    <>
      <h2>What it means, and what to do</h2>
      <dl>
        {data.map(({ name, text }) => (
          <div key={name} className="key-row">
            <dt>{name}</dt>
            <dd>{markCode(text)}</dd>
          </div>
        ))}
      </dl>
    </>
  );
}

/** Shows what stands between backticks as code. */
function markCode(text: string): ReactNode[] {
  // biome-ignore lint/suspicious/noArrayIndexKey: the parts of a text stay where they are.
  return text.split("`").map((part, index) => (index % 2 === 1 ? <code key={index}>{part}</code> : part));
}
