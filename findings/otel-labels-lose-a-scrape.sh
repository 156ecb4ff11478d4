#!/usr/bin/env bash
# Shows that one measurement with the attributes disk.name and disk_name makes Prometheus's reader refuse all metrics of
# a process whose exporter is OpenTelemetry's for JavaScript.
#
#   findings/otel-labels-lose-a-scrape.sh [VERSION]    tries this version of the exporter; default: 0.301.0
#
# Subject: the npm packages @opentelemetry/exporter-prometheus 0.301.0 and @opentelemetry/sdk-metrics 3.1.1, and the Go
# package github.com/prometheus/common/expfmt v0.73.1 as the reader.
#
# What one would guess: attributes are freely named, so the exporter cares for what becomes of their names. Prometheus
# allows no dots in the labels of its text format, and no label twice. So names are changed, and where two become the
# same, OpenTelemetry's specification demands one label with both values, joined by a semicolon (Prometheus and
# OpenMetrics Compatibility, "Metric Attributes").
#
# What happens: stringify() changes each name by itself, and writes both, as disk_name="...",disk_name="...". The
# exporter's own labels, such as those of the scope, can be hit in the same way. Nothing is logged. The reader stops at
# that line, "duplicate label names for metric", and has nothing of the rest.
#
# Seen on 2026-11-30, with three metrics, one of which has a measurement with both names:
#   disk_errors_total{disk_name="sda"} 1
#     read: 3 metrics
#   disk_errors_total{disk_name="sda",disk_name="nvme0n1"} 1
#     read: error: text format parsing error in line 6: duplicate label names for metric "disk_errors_total"
#
# Why it matters: names with underscores meet names with dots while instrumentation changes over to the conventions of
# OpenTelemetry, in two libraries of one process. The first such measurement ends all metrics of that process for
# whoever reads them so, and the process goes on answering /metrics with 200. Taking one of the names out by a view
# avoids it. bmaas writes its metrics by prom-client, with names that are fixed, and uses OpenTelemetry for traces.
#
# Exit status: 0 when it is so, 1 when that has changed, 2 when it could not be tried.
set -euo pipefail

version=${1:-0.301.0}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
export GOWORK=off GOFLAGS=-mod=mod

cat > main.go <<'GO'
// Reads metrics from the standard input, as a scrape does.
package main

import (
	"fmt"
	"os"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

func main() {
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(os.Stdin)
	if err != nil {
		fmt.Println("error:", err)
		return
	}
	fmt.Println(len(families), "metrics")
}
GO
cat > main.js <<'JS'
"use strict";
const { execFileSync } = require("node:child_process");
const { PrometheusExporter, PrometheusSerializer } = require("@opentelemetry/exporter-prometheus");
const { MeterProvider } = require("@opentelemetry/sdk-metrics");

async function scrape(attributes) {
  const exporter = new PrometheusExporter({ preventServerStart: true });
  const meter = new MeterProvider({ readers: [exporter] }).getMeter("agent");
  meter.createCounter("heartbeats").add(1);
  meter.createCounter("disk.errors").add(1, attributes);
  meter.createCounter("installations").add(1);
  const { resourceMetrics } = await exporter.collect();
  const text = new PrometheusSerializer("", false, undefined, true, true).serialize(resourceMetrics);
  return [text.split("\n").find((line) => line.startsWith("disk_errors_total")), text];
}

async function main() {
  const seen = [];
  for (const attributes of [{ "disk.name": "sda" }, { "disk.name": "sda", disk_name: "nvme0n1" }]) {
    const [line, text] = await scrape(attributes);
    seen.push(line, `  read: ${execFileSync("./reader", { input: text, encoding: "utf8" }).trim()}`);
  }
  console.log(seen.join("\n"));
  const found = [
    'disk_errors_total{disk_name="sda"} 1',
    "  read: 3 metrics",
    'disk_errors_total{disk_name="sda",disk_name="nvme0n1"} 1',
    '  read: error: text format parsing error in line 6: duplicate label names for metric "disk_errors_total"',
  ];
  const isAsFound = seen.join("\n") === found.join("\n");
  console.log(isAsFound ? "as found" : "this has changed");
  process.exit(isAsFound ? 0 : 1);
}

process.exitCode = 2; // If it ends before its end.
main().catch((error) => {
  console.error("could not be tried:", error);
  process.exit(2);
});
JS
{
  go mod init finding && go get github.com/prometheus/common@v0.73.1 && go build -o reader . &&
    npm init --yes && npm install --no-audit --no-fund "@opentelemetry/exporter-prometheus@$version" \
      @opentelemetry/sdk-metrics@3.1.1 @opentelemetry/api@1.10.0
} > install.log 2>&1 || { cat install.log >&2; exit 2; }
timeout 60 node main.js || exit $(( $? == 124 ? 2 : $? ))
