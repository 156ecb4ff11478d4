/** Puts health alerts on a machine by hand, and takes back those of a source. */
import { type HealthAlert, type HealthAlertSchema, HealthEffect, HealthService } from "@api/health_service_pb.js";
import { HealthSeverity } from "@api/machine_pb.js";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { createClient } from "@connectrpc/connect";
import { useMutation, useQuery, useTransport } from "@connectrpc/connect-query";
import { useState } from "react";
import { namesOf } from "../../../src/contract/enum-names.ts";
import { useAskAgain } from "../live/use-refresh.ts";
import { ConfirmAction } from "../ui/confirm-action.tsx";
import { expiries, toDurationMs } from "../ui/expiry.ts";
import { SelectField, TextField, Tick } from "../ui/fields.tsx";
import { healthSeverities } from "../ui/severity.tsx";
import { toCommand } from "../ui/shell-words.ts";
import { ActionDialog } from "./action-dialog.tsx";
import { actOnOne } from "./run.ts";
import type { Targets } from "./targets.ts";

/** The source of alerts that the machine's agent puts. Others can only take them back. */
const agentSource = "agent";

const effectNames = namesOf<HealthEffect>(HealthEffect);

/** The API keeps alerts for 30 days at most. */
const ttls = expiries.filter(([duration]) => toDurationMs(duration) <= toDurationMs("30d"));

type Alert = MessageInitShape<typeof HealthAlertSchema> & Pick<HealthAlert, "id" | "target">;

/** Asks for an alert, and puts it beside those that its source has put before. */
export function AlertDialog({ targets, onClose }: { readonly targets: Targets; readonly onClose: () => void }) {
  const transport = useTransport();
  const machineId = targets.machines[0]?.machineId ?? "";
  const { data } = useQuery(HealthService.method.getHealth, { machineId });
  const [typed, setTyped] = useState({ source: "operator", id: "", target: "", message: "" });
  const [severity, setSeverity] = useState("warning");
  const [ttl, setTtl] = useState("1d");
  const [blocks, setBlocks] = useState(true);
  const [mutes, setMutes] = useState(false);
  const [source, id, target, message] = [typed.source, typed.id, typed.target, typed.message].map((text) =>
    text.trim(),
  ) as [string, string, string, string];
  const effects = [...(blocks ? [HealthEffect.BLOCK_INSTALL] : []), ...(mutes ? [HealthEffect.MUTE] : [])];
  const alert: Alert = {
    ...{ id, target, message, effects },
    severity: healthSeverities.find(severity) ?? HealthSeverity.WARNING,
  };
  /** Returns the alert with the others of its source, since a call replaces all that the source has put. */
  const joinTo = (all: readonly HealthAlert[] = []): Alert[] => [
    ...all.filter((each) => each.source === source && !(each.id === id && each.target === target)),
    alert,
  ];
  const field = (name: keyof typeof typed) => ({
    value: typed[name],
    onChange: (text: string) => setTyped({ ...typed, [name]: text }),
  });
  return (
    <ActionDialog
      action="Put a health alert"
      preposition="on"
      targets={targets}
      command={describePut(targets.words, source, ttl, joinTo(data?.alerts))}
      onClose={onClose}
      prepare={() => {
        if (id === "") return "Write what kind of problem it is, in a word, such as fan.";
        if (source === "" || source === agentSource) return "Write who found the problem; agent is the agent's own.";
        const client = createClient(HealthService, transport);
        return actOnOne(async () => {
          // What others have put while the dialog was open, or before it could be read, stays.
          const alerts = joinTo((await client.getHealth({ machineId })).alerts);
          await client.putHealth({ machineId, source, alerts, ttl: durationFromMs(toDurationMs(ttl)) });
        });
      }}
    >
      <TextField label="Problem" hint="What kind it is, in a word." placeholder="fan" maxLength={64} {...field("id")} />
      <TextField label="Part (optional)" placeholder="fan 3" maxLength={128} {...field("target")} />
      <TextField label="In a sentence (optional)" maxLength={1024} {...field("message")} />
      <SelectField
        label="Severity"
        value={severity}
        choices={healthSeverities.names.map((name) => [name, name] as const)}
        onChange={setSeverity}
      />
      <Tick name="Keep installations away" isOn={blocks} onChange={setBlocks}>
        No installation is requested for the machine or given to its agent while the alert counts.
      </Tick>
      <Tick name="Leave the machine out of alerts" isOn={mutes} onChange={setMutes}>
        Monitoring passes over it, and it has no issues.
      </Tick>
      <SelectField label="Counts for" value={ttl} choices={ttls} onChange={setTtl} />
      <TextField
        label="Found by"
        hint="All alerts of one source are put together, and count for the same time from now on."
        maxLength={64}
        {...field("source")}
      />
    </ActionDialog>
  );
}

/** Returns the command that puts the same. */
function describePut(words: string, source: string, ttl: string, alerts: readonly Alert[]): string {
  const written = alerts.map(({ id, target, severity = 0, message = "", effects = [] }) => ({
    id: id || "ID",
    ...(target !== "" && { target }),
    severity: healthSeverities.nameOf(severity),
    ...(message !== "" && { message }),
    ...(effects.length > 0 && { effects: effects.map((effect) => effectNames.nameOf(effect)) }),
  }));
  const put = toCommand("--put", "-", "--source", source || "SOURCE", "--ttl", ttl);
  return `echo ${toCommand(JSON.stringify(written))} | bmaas machines health ${words} ${put}`;
}

/** Asks, and takes back all alerts that a source has put on a machine. */
export function ClearAlerts(props: {
  readonly machineId: string;
  readonly source: string;
  readonly onClose: () => void;
}) {
  const { machineId, source, onClose } = props;
  const askAgain = useAskAgain(HealthService.method.getHealth);
  const put = useMutation(HealthService.method.putHealth, { onSettled: () => void askAgain() });
  return (
    <ConfirmAction
      title={`Take back what ${source} has put?`}
      action="Take the alerts back"
      command={toCommand("bmaas", "machines", "health", machineId, "--clear", "--source", source)}
      isBusy={put.isPending}
      error={put.error}
      onClose={onClose}
      onConfirm={() =>
        put.mutate({ machineId, source, alerts: [], ttl: durationFromMs(1_000) }, { onSuccess: onClose })
      }
    >
      <p>
        Do this if the problem is solved and {source} does not take its alerts back itself. If it still finds the
        problem, it puts them again.
      </p>
    </ConfirmAction>
  );
}
