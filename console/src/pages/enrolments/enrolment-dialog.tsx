/** One enrolment in full, and the decision about it. */
import { type Enrolment, EnrolmentState, type Lookalike } from "@api/enrolment_pb.js";
import { EnrolmentService } from "@api/enrolment_service_pb.js";
import { Role } from "@api/role_pb.js";
import { useMutation, useQuery } from "@connectrpc/connect-query";
import { useState } from "react";
import { useRefresh } from "../../live/use-refresh.ts";
import { useMay } from "../../session/use-session.ts";
import { ActionButton } from "../../ui/action-button.tsx";
import { CopyableCommand } from "../../ui/copy.tsx";
import { Dialog } from "../../ui/dialog.tsx";
import { ErrorNote, QueryError } from "../../ui/error-note.tsx";
import { formatBytes, formatCount, formatHex } from "../../ui/format.ts";
import { MachineLink } from "../../ui/machine-link.tsx";
import { SafeText } from "../../ui/safe-text.tsx";
import { toCommand } from "../../ui/shell-words.ts";
import { Time } from "../../ui/time.tsx";
import { ApproveForm, useAskAgainAboutEnrolments } from "./approve-form.tsx";
import { EnrolmentBadge } from "./enrolment-columns.tsx";

/** Shows an enrolment, which stays current while it is open. */
export function EnrolmentDialog(props: { readonly enrolmentId: string; readonly onClose: () => void }) {
  const { enrolmentId, onClose } = props;
  const query = useQuery(EnrolmentService.method.getEnrolment, { enrolmentId });
  useRefresh(EnrolmentService.method.getEnrolment, (change) => change.enrolmentId === enrolmentId);
  const enrolment = query.data?.enrolment;
  return (
    <Dialog title={`Enrolment ${enrolmentId.slice(0, 8)}`} onClose={onClose} isWide>
      <QueryError query={query} />
      {query.isPending && <p className="quiet">Loading…</p>}
      {enrolment !== undefined && (
        <>
          <Facts enrolment={enrolment} />
          {enrolment.state !== EnrolmentState.APPROVED && <ApproveForm enrolment={enrolment} />}
          {enrolment.state !== EnrolmentState.APPROVED && <TurnAway enrolment={enrolment} onForgotten={onClose} />}
        </>
      )}
    </Dialog>
  );
}

function Facts({ enrolment }: { readonly enrolment: Enrolment }) {
  const { machineId, decider, decideTime, memoryBytes, cpuThreads, diskBytes, expectedMachineId, waitReason } =
    enrolment;
  const said: readonly (readonly [string, string])[] = [
    ["Manufacturer", enrolment.manufacturer],
    ["Product", enrolment.product],
    ["Serial number", enrolment.serialNumber],
    ["UUID", enrolment.systemUuid],
    ["MAC addresses", enrolment.macAddresses.join(", ")],
    ["Memory", memoryBytes > 0n ? formatBytes(memoryBytes, "binary") : ""],
    ["Threads", cpuThreads > 0 ? formatCount(cpuThreads) : ""],
    ["Disks", diskBytes > 0n ? formatBytes(diskBytes) : ""],
    ["Agent", enrolment.agentVersion],
    ["Boot id", enrolment.bootId],
    ["Join token", enrolment.joinTokenId],
  ];
  return (
    <dl>
      <dt>State</dt>
      <dd>
        <EnrolmentBadge state={enrolment.state} />
        {decider !== "" && (
          <>
            {" by "}
            <SafeText text={decider} limit={80} /> <Time at={decideTime} as="age" />
          </>
        )}
      </dd>
      {machineId !== "" && (
        <>
          <dt>Machine</dt>
          <dd>
            <MachineLink machineId={machineId} />
          </dd>
        </>
      )}
      {expectedMachineId !== "" && (
        <>
          <dt>Expected as</dt>
          <dd>
            <MachineLink machineId={expectedMachineId} />
          </dd>
        </>
      )}
      {waitReason !== "" && (
        <>
          <dt>Waits because</dt>
          <dd>
            <SafeText text={waitReason} />
          </dd>
        </>
      )}
      {enrolment.lookalikes.length > 0 && (
        <>
          <dt>Resembles</dt>
          <dd>
            <ul className="plain">
              {enrolment.lookalikes.map((each) => (
                <li key={each.machineId + each.enrolmentId}>
                  <Resemblance lookalike={each} />
                </li>
              ))}
            </ul>
          </dd>
        </>
      )}
      <dt>Calls from</dt>
      <dd>
        <code>{enrolment.address}</code>, first <Time at={enrolment.firstSeenTime} as="age" />, last{" "}
        <Time at={enrolment.lastSeenTime} as="age" />
      </dd>
      {said.map(([name, text]) =>
        text === "" ? null : (
          <div key={name} className="key-row">
            <dt>{name}</dt>
            <dd>
              <SafeText text={text} />
            </dd>
          </div>
        ),
      )}
      <dt>Key</dt>
      <dd>
        <code className="safe-text">{formatHex(enrolment.publicKey)}</code>
      </dd>
    </dl>
  );
}

const identifiers: Readonly<Record<string, string>> = {
  serial_number: "serial number",
  system_uuid: "UUID",
  mac: "MAC address",
};

function Resemblance({ lookalike }: { readonly lookalike: Lookalike }) {
  const same = lookalike.identifiers.map((name) => identifiers[name] ?? name).join(", ");
  return (
    <>
      {lookalike.machineId === "" ? (
        <>
          enrolment <code>{lookalike.enrolmentId}</code>
        </>
      ) : (
        <MachineLink machineId={lookalike.machineId} />
      )}
      : same {same}
    </>
  );
}

/** Rejects or forgets an enrolment, each in two steps. */
function TurnAway({ enrolment, onForgotten }: { readonly enrolment: Enrolment; readonly onForgotten: () => void }) {
  const { id: enrolmentId, state } = enrolment;
  const { reason } = useMay(Role.OPERATOR);
  const [asked, setAsked] = useState<"reject" | "forget">();
  const onSettled = useAskAgainAboutEnrolments();
  const onSuccess = () => setAsked(undefined);
  const reject = useMutation(EnrolmentService.method.rejectEnrolment, { onSuccess, onSettled });
  const forget = useMutation(EnrolmentService.method.forgetEnrolment, { onSettled });
  const { error, isPending } = asked === "reject" ? reject : forget;
  const act = () => {
    if (asked === "reject") reject.mutate({ enrolmentId });
    else forget.mutate({ enrolmentId }, { onSuccess: onForgotten });
  };
  const what = {
    reject: "The server tells the agent that it is not accepted, until somebody forgets or approves the enrolment.",
    forget: "The enrolment is deleted. If the agent still runs, it asks again and waits anew.",
  } as const;
  return (
    <section>
      <h2>Turn it away</h2>
      <div className="toolbar">
        {state === EnrolmentState.WAITING && (
          <ActionButton reason={reason} onClick={() => setAsked("reject")}>
            Reject…
          </ActionButton>
        )}
        <ActionButton reason={reason} onClick={() => setAsked("forget")}>
          Forget…
        </ActionButton>
      </div>
      {asked !== undefined && (
        <div className="card">
          <p>{what[asked]}</p>
          <CopyableCommand command={toCommand("bmaas", "enrolments", asked, enrolmentId)} />
          {error !== null && <ErrorNote error={error} />}
          <div className="actions">
            <button type="button" onClick={() => setAsked(undefined)}>
              Keep it
            </button>
            <ActionButton kind="danger" reason={reason} isBusy={isPending} onClick={act}>
              {asked === "reject" ? "Reject the agent" : "Forget the enrolment"}
            </ActionButton>
          </div>
        </div>
      )}
    </section>
  );
}
