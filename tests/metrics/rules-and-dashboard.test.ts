/**
 * The example rules, the dashboard and the documentation speak of metrics, labels and values that a running server has.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect as connectHttp2 } from "node:http2";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { Code } from "@connectrpc/connect";
import { beforeAll, describe, expect, test } from "vitest";
import { parse, stringify } from "yaml";
import { z } from "zod";
import { MachineService } from "../../gen/bmaas/admin/v1/machine_service_pb.js";
import { machineStates } from "../../src/admin/machine/to-machine.ts";
import { refusalReasons } from "../../src/agent-callback/heartbeat-observer.ts";
import { issueTypeNames, issueTypes } from "../../src/contract/issue-types.ts";
import { nameCode } from "../../src/rpc/calls/call-record.ts";
import { grpcAgent } from "../support/agents.ts";
import { createTestDatabase } from "../support/database.ts";
import { machineWithAgent } from "../support/machine.ts";
import { type Scrape, scrape } from "../support/metrics.ts";
import { adminClient, tokenOf } from "../support/operator.ts";
import { type Query, readQuery } from "../support/promql.ts";
import { callHttp2 } from "../support/raw-connection.ts";
import { startTestServer } from "../support/server.ts";
import { situations } from "../support/situation.ts";
import { waitUntil } from "../support/wait.ts";

const rulesFile = "docs/prometheus/rules.yaml";

/**
 * Of prometheus.io/docs/prometheus/latest/configuration/alerting_rules what is used here; nothing else may stand there.
 */
const rulesSchema = z.strictObject({
  groups: z.array(
    z.strictObject({
      name: z.string().min(1),
      rules: z.array(
        z.strictObject({
          alert: z.string().regex(/^Bmaas[A-Za-z]+$/),
          expr: z.string().min(1),
          for: z
            .string()
            .regex(/^\d+[smh]$/)
            .optional(),
          labels: z.strictObject({ severity: z.enum(["critical", "warning"]) }),
          annotations: z.strictObject({ summary: z.string().min(10), description: z.string().min(10) }),
        }),
      ),
    }),
  ),
});

const { groups } = rulesSchema.parse(parse(readFileSync(rulesFile, "utf8"), { strict: true, uniqueKeys: true }));
const rules = groups.flatMap((group) => group.rules);

interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly targets?: readonly { readonly expr: string; readonly legendFormat: string }[];
}
const dashboard: {
  readonly panels: readonly Panel[];
  readonly templating: { readonly list: readonly { readonly name: string; readonly definition?: string }[] };
} = JSON.parse(readFileSync("docs/grafana/bmaas.json", "utf8"));
const targets = dashboard.panels.flatMap(({ title, targets: of = [] }) => of.map((target) => ({ title, ...target })));

let page: Scrape;
beforeAll(async () => {
  const database = await createTestDatabase();
  for (const situation of situations) await situation.make(database.db);
  const { secret } = await tokenOf(database.db, "viewer");
  const { machineId, key } = await machineWithAgent(database.db);
  const server = await startTestServer(database.url);
  const agent = grpcAgent(server, key);
  await agent.heartbeat({ machineId });
  agent[Symbol.dispose]();
  await adminClient(MachineService, server.adminUrl, secret).listMachines({});
  const session = connectHttp2(server.agentUrl, { ca: server.ca });
  await callHttp2(session, { ":path": "/none" });
  session.destroy();
  page = await waitUntil("all calls are counted", async () => {
    const found = await scrape(server.adminUrl, secret);
    return found.sum("bmaas_calls_total") >= 3 && found;
  });
  await server.close();
  await database.close();
});

/** What Prometheus adds to each metric that it scrapes, and the one that it makes itself. */
const addedLabels = ["job", "instance"];

function labelsOf(metric: string): Set<string> | undefined {
  if (metric === "up") return new Set(addedLabels);
  const samples = page.samples.filter(({ name }) => name === metric);
  // A histogram without labels of garbage collections that have not happened yet has none.
  if (metric === "nodejs_gc_duration_seconds_sum") return new Set([...addedLabels, "kind"]);
  if (samples.length === 0) return undefined;
  return new Set([...addedLabels, ...samples.flatMap(({ labels }) => Object.keys(labels))]);
}

/** Values that a label can have, besides those that were seen. */
const possibleValues: Readonly<Record<string, readonly string[]>> = {
  state: Object.keys(machineStates),
  reason: refusalReasons,
  code: ["ok", ...Object.values(Code).flatMap((code) => (typeof code === "number" ? nameCode(code) : []))],
};

function expectSound({ selectors, uses }: Query): void {
  for (const { label, of } of uses) expect([...of]).toContain(label);
  for (const { metric, matchers } of selectors) {
    for (const { label, value } of matchers) {
      if (addedLabels.includes(label) || value.startsWith("$")) continue;
      const seen = page.samples.flatMap(({ name, labels }) => (name === metric ? (labels[label] ?? []) : []));
      for (const each of value.split("|")) expect([...seen, ...(possibleValues[label] ?? [])]).toContain(each);
    }
  }
}

/** A template of an annotation that asks Prometheus for a label of the sample of a metric that has the alert's type. */
const lookup =
  /\{\{ with printf "(\w+)\{(\w+)=%q\}" \$labels\.(\w+) \| query \}\}\{\{ \. \| first \| label "(\w+)" \}\}\{\{ end \}\}/g;

describe.each(rules)("the alert $alert", ({ expr, annotations }) => {
  test("asks for what there is", () => {
    expectSound(readQuery(expr, labelsOf));
  });

  test("says of its result what its result has", () => {
    const { labels } = readQuery(expr, labelsOf);
    for (const text of Object.values(annotations)) {
      for (const [, metric = "", matched = "", , label = ""] of text.matchAll(lookup)) {
        expect([...(labelsOf(metric) ?? [])]).toEqual(expect.arrayContaining([matched, label]));
      }
      expect(
        text.replace(lookup, "").replace(/\{\{ \$(?:labels\.\w+|value)(?: \| humanize\w*)? \}\}/g, ""),
      ).not.toMatch(/[{}$]/);
      for (const [, label] of text.matchAll(/\$labels\.(\w+)/g)) expect([...labels]).toContain(label);
    }
  });
});

test("alerts and groups have names of their own, and all kinds of trouble have an alert", () => {
  const names = rules.map(({ alert }) => alert);
  expect(new Set(names).size).toBe(names.length);
  expect(new Set(groups.map(({ name }) => name)).size).toBe(groups.length);
  const asked = rules.flatMap(({ expr }) => readQuery(expr, labelsOf).selectors.map(({ metric }) => metric));
  const metrics = ["up", "bmaas_database_up", "bmaas_calls_total", "bmaas_writer_queue_length", "bmaas_fleet_machines"];
  const others = ["bmaas_heartbeats_refused_total", "bmaas_fleet_issues", "nodejs_eventloop_lag_p99_seconds"];
  expect(asked).toEqual(expect.arrayContaining([...metrics, ...others]));
});

const hasPromtool = spawnSync("promtool", ["--version"]).status === 0;

describe("alerts about issues speak as `bmaas issues` does:", () => {
  const about = "bmaas_issue_type_info";

  test("the metrics have the words of each type", () => {
    const told = page.samples.filter(({ name }) => name === about).map(({ labels }) => labels);
    expect(told).toEqual(issueTypeNames.map((type) => ({ type, summary: issueTypes[type].summary })));
  });

  test("summaries that name a type have its words", () => {
    const named = rules.flatMap(({ annotations: { summary } }) => {
      const type = issueTypeNames.find((name) => summary.startsWith(`${name}: `));
      return type === undefined ? [] : [[summary, `${type}: ${issueTypes[type].summary}`]];
    });
    expect(named.map(([summary]) => summary)).toEqual(named.map(([, expected]) => expected));
    expect(named.length).toBeGreaterThan(3);
  });

  // Types whose alerts count something else than issues.
  const apart = ["installation_failed", "installation_overdue", "agent_silent", "state_overdue", "receiver_failing"];

  test.skipIf(!hasPromtool)("Prometheus fires one for each critical or warning type, in its words", () => {
    const expected = issueTypeNames.flatMap((type) =>
      issueTypes[type].severities
        .filter((severity) => severity === "critical" || (severity === "warning" && !apart.includes(type)))
        .map((severity) => ({ type, severity })),
    );
    const series = (name: string, labels: object) =>
      `${name}{${Object.entries(labels).map(([label, value]) => `${label}=${JSON.stringify(value)}`)}}`;
    const promtoolTest = {
      rule_files: [resolve(rulesFile)],
      evaluation_interval: "1m",
      tests: [
        {
          interval: "1m",
          input_series: [
            ...expected.map((labels) => ({ series: series("bmaas_fleet_issues", labels), values: "2+0x20" })),
            ...issueTypeNames.map((type) => {
              return { series: series(about, { type, summary: issueTypes[type].summary }), values: "1+0x20" };
            }),
          ],
          alert_rule_test: (["critical", "warning"] as const).map((severity) => ({
            eval_time: "10m",
            alertname: severity === "critical" ? "BmaasCriticalIssues" : "BmaasWarningIssues",
            exp_alerts: expected
              .filter((each) => each.severity === severity)
              .map(({ type }) => ({
                exp_labels: { severity, type },
                exp_annotations: {
                  summary: `${type}: ${issueTypes[type].summary}`,
                  description: `"bmaas issues --type ${type}" lists 2. docs/issues.md#${type} says what they mean, what to look at, and what to do.`,
                },
              })),
          })),
        },
      ],
    };
    const folder = mkdtempSync(join(tmpdir(), "bmaas-alerts-"));
    const file = join(folder, "test.yaml");
    writeFileSync(file, stringify(promtoolTest, { lineWidth: 0 }));
    const { status, stdout, stderr } = spawnSync("promtool", ["test", "rules", file]);
    rmSync(folder, { recursive: true });
    expect([status, stdout.toString() + stderr.toString()]).toEqual([0, expect.stringContaining("SUCCESS")]);
  });
});

test.skipIf(!hasPromtool)("Prometheus's own tool finds nothing wrong (skipped where it is not installed)", () => {
  const { status, stdout, stderr } = spawnSync("promtool", ["check", "rules", "--lint=all", rulesFile]);
  expect([status, stdout.toString() + stderr.toString()]).toEqual([0, expect.stringContaining("SUCCESS")]);
});

describe("the dashboard", () => {
  test.each(targets)("asks for what there is: $title, $expr", ({ expr, legendFormat }) => {
    const query = readQuery(expr, labelsOf);
    expectSound(query);
    for (const [, label] of legendFormat.matchAll(/\{\{(\w+)\}\}/g)) expect([...query.labels]).toContain(label);
    for (const [variable] of expr.matchAll(/(?<=\$)(?!__)\w+/g)) {
      expect(dashboard.templating.list.map(({ name }) => name)).toContain(variable);
    }
  });

  test("has variables that come from metrics and labels that there are", () => {
    const definitions = dashboard.templating.list.flatMap(({ definition }) => definition ?? []);
    expect(definitions.length).toBeGreaterThan(2);
    for (const definition of definitions) {
      const [, selector = "", label = ""] = /^label_values\((.+), (\w+)\)$/.exec(definition) ?? [];
      const query = readQuery(selector, labelsOf);
      expectSound(query);
      expect([...query.labels]).toContain(label);
    }
  });

  test("shows every metric of the server's own", () => {
    const shown = new Set(
      targets.flatMap(({ expr }) =>
        readQuery(expr, labelsOf).selectors.map(({ metric }) => metric.replace(/_(bucket|sum|count)$/, "")),
      ),
    );
    const own = [...page.families.keys()].filter((name) => name.startsWith("bmaas_"));
    expect(own.filter((name) => !shown.has(name))).toEqual([]);
  });

  test("has panels with ids of their own that lie side by side", () => {
    const { panels } = dashboard;
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
    const cells = panels.flatMap(({ gridPos: { x, y, w, h } }) =>
      Array.from({ length: w * h }, (_, cell) => `${x + (cell % w)} ${y + Math.floor(cell / w)}`),
    );
    expect(new Set(cells).size).toBe(cells.length);
    for (const { gridPos } of panels) expect(gridPos.x + gridPos.w).toBeLessThanOrEqual(24);
  });
});

test("the documentation names every metric with its labels, every reason, and none that is not", () => {
  const text = readFileSync("docs/monitoring.md", "utf8");
  const documented = [...text.matchAll(/^\| `(bmaas_\w+)` +\| ([\w, ]*?) +\|/gm)].map(([, name = "", labels = ""]) => [
    name,
    labels.split(", ").filter(Boolean).toSorted(),
  ]);
  const own = [...page.families.keys()].filter((name) => name.startsWith("bmaas_"));
  const labelsOfFamily = (name: string) => {
    const samples = page.samples.filter((sample) => [name, `${name}_count`].includes(sample.name));
    return [...new Set(samples.flatMap(({ labels }) => Object.keys(labels)))].toSorted();
  };
  expect(documented.toSorted()).toEqual(own.map((name) => [name, labelsOfFamily(name)]).toSorted());
  const reasons = text.slice(text.indexOf("A heartbeat is refused because of"), text.indexOf("## Health"));
  expect([...reasons.matchAll(/^\| `(\w+)`/gm)].map(([, reason]) => reason)).toEqual([...refusalReasons]);
});
