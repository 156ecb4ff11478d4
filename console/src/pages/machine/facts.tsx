/** What the machine is known by: its provider's data, its agent and the agent's key, and its labels. */
import { ProviderStatus } from "@api/machine_pb.js";
import type { ReactNode } from "react";
import type { ActionName } from "../../actions/action-rows.ts";
import { CopyButton } from "../../ui/copy.tsx";
import { formatHex } from "../../ui/format.ts";
import { SafeText } from "../../ui/safe-text.tsx";
import { Time } from "../../ui/time.tsx";
import { type ActionsProps, MachineActionButton } from "./actions.tsx";

/** Shows the facts, each with what changes them; those that nobody knows are left out. */
export function Facts({ machine, onAct }: ActionsProps) {
  const { provided, agent, labels, expected, createTime } = machine;
  return (
    <section className="card">
      <h2>Agent</h2>
      {agent === undefined ? (
        <p className="quiet">No agent's key is registered.</p>
      ) : (
        <dl>
          <Fact name="Key">
            <code className="safe-text">{formatHex(agent.publicKey)}</code>{" "}
            <CopyButton text={formatHex(agent.publicKey)} />
          </Fact>
          <Fact name="Registered">
            <Time at={agent.registerTime} as="age" />
          </Fact>
          <Fact name="Last heartbeat">
            <Time at={agent.heartbeatTime} as="age" />
          </Fact>
          {agent.quietUntilTime !== undefined && (
            <Fact name="May be silent">
              until <Time at={agent.quietUntilTime} />
            </Fact>
          )}
          <TextFact name="Version" text={agent.version} />
          <TextFact name="Boot" text={agent.bootId} />
        </dl>
      )}
      <ActionRow
        names={agent === undefined ? ["register"] : ["replaceKey", "revoke"]}
        machine={machine}
        onAct={onAct}
      />
      <h2>Machine</h2>
      <dl>
        <Fact name="Created">
          <Time at={createTime} as="age" />
        </Fact>
        {provided !== undefined && (
          <>
            <TextFact name="Provider" text={provided.provider} />
            <TextFact name="Provider's id" text={provided.providerId} />
            <TextFact name="Location" text={provided.location} />
            <TextFact name="Reservation" text={provided.reservation} />
            <TextFact name="Address" text={provided.address} />
            <TextFact name="Status" text={providerStatuses[provided.status] ?? ""} />
          </>
        )}
        {expected !== undefined && (
          <>
            <TextFact name="Expected serial" text={expected.serialNumber} />
            <TextFact name="Expected UUID" text={expected.systemUuid} />
            <TextFact name="Expected MACs" text={expected.macAddresses.join(", ")} />
            {expected.missing && <Fact name="Missing">Its agent has never enrolled.</Fact>}
          </>
        )}
      </dl>
      <ActionRow names={["provide", "expect"]} machine={machine} onAct={onAct} />
      <h2>Labels</h2>
      <Labels labels={labels} />
      <ActionRow names={["label"]} machine={machine} onAct={onAct} />
    </section>
  );
}

function ActionRow({ names, ...props }: ActionsProps & { readonly names: readonly ActionName[] }) {
  return (
    <div className="toolbar after">
      {names.map((name) => (
        <MachineActionButton key={name} name={name} {...props} />
      ))}
    </div>
  );
}

const providerStatuses: Readonly<Record<ProviderStatus, string>> = {
  [ProviderStatus.UNSPECIFIED]: "",
  [ProviderStatus.PROVISIONING]: "provisioning",
  [ProviderStatus.RUNNING]: "running",
  [ProviderStatus.STOPPED]: "stopped",
  [ProviderStatus.MISSING]: "missing",
  [ProviderStatus.FAILED]: "failed",
};

function Labels({ labels }: { readonly labels: Readonly<Record<string, string>> }) {
  const keys = Object.keys(labels).sort();
  if (keys.length === 0) return <p className="quiet">It has no labels.</p>;
  return (
    <ul className="chips">
      {keys.map((key) => (
        <li key={key} className="chip label">
          <SafeText text={`${key}=${labels[key]}`} limit={120} />
        </li>
      ))}
    </ul>
  );
}

function Fact({ name, children }: { readonly name: string; readonly children: ReactNode }) {
  return (
    <>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </>
  );
}

function TextFact({ name, text }: { readonly name: string; readonly text: string }) {
  if (text === "") return null;
  return (
    <Fact name={name}>
      <SafeText text={text} />
    </Fact>
  );
}
