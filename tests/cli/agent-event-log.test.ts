import { pino } from "pino";
import { expect, test } from "vitest";
import type { AgentEvent } from "../../src/agent/agent-event.ts";
import { logAgentEvent } from "../../src/cli/agent-event-log.ts";

test.each<[AgentEvent, object]>([
  [
    { type: "after-install-hangs", generation: 5n, limitMs: 60_000 },
    {
      level: 50,
      msg: "after-install command has not ended after 60 s, so the agent goes on without it",
      generation: "5",
      advice: "reboot the machine if it does not end, as when a disk hangs",
    },
  ],
  [
    { type: "after-install-skipped", reason: "hanging" },
    {
      level: 50,
      msg: "the after-install command that an earlier agent started may still run, so it is not started again",
      advice: "reboot the machine",
    },
  ],
])("the log says what hangs, and what to do", (event, line) => {
  const lines: unknown[] = [];
  const log = pino({ base: null, timestamp: false }, { write: (text: string) => void lines.push(JSON.parse(text)) });
  logAgentEvent(log, event, { machineId: "m", publicKey: "k", signed: false });
  expect(lines).toEqual([line]);
});
