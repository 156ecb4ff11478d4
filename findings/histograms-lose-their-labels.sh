#!/usr/bin/env bash
# Shows that parse-prometheus-text-format makes one histogram or summary of all disks', with the last one's numbers and
# no name.
#
#   findings/histograms-lose-their-labels.sh [VERSION]    tries this version of the package; default: 1.1.1
#
# Subject: the npm package parse-prometheus-text-format 1.1.1, which reads what Prometheus exporters say.
#
# What one would guess: each set of labels is a series. A histogram with the label `disk` is one histogram for each
# disk, with buckets, a sum and a count; only `le`, or `quantile` in a summary, belongs to the number (Prometheus,
# "Exposition formats", "Histograms and summaries"). The README aims at prom2json, which prints one entry for each set
# of labels, with the labels in it.
#
# What happens: flattenMetrics puts the buckets of all series into one object by `le` alone, so a later disk's number
# replaces an earlier one's, and takes sum and count only from series without labels. The result has no labels. Where
# disks have different buckets, the histogram has some of each. Counters and gauges keep their labels.
#
# Seen on 2026-12-01, for two disks, and once for one without a label:
#   sda answered 1000 reads: 990 within 0.01 s, and all within 0.1 s, 7 s together; sdb answered 3, none within 0.1 s
#   read_seconds:     [{"buckets":{"0.01":"0","0.1":"0","+Inf":"3"}}]
#   write_seconds:    [{"quantiles":{"0.5":"0.9","0.99":"2.5"}}]
#   without labels:   [{"buckets":{"0.01":"990","+Inf":"1000"},"count":"1000","sum":"7"}]
#
# Why it matters: exporters of disks, sensors, controllers and machines have such labels on nearly all histograms. Who
# reads them with this package sees one slow disk as the only one, or a slow one behind the last as fast, and cannot see
# which it is. No error is thrown, and the README's example, a histogram without labels, comes out right. The rates and
# means that need sum and count are gone. bmaas only writes this format.
#
# Exit status: 0 when it is so, 1 when that has changed, 2 when it could not be tried.
set -euo pipefail

version=${1:-1.1.1}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --no-audit --no-fund --loglevel=error --ignore-scripts "parse-prometheus-text-format@$version" \
  > npm.log 2>&1 || { cat npm.log >&2; exit 2; }

cat > try.mjs <<'JS'
import parse from "parse-prometheus-text-format";

const exported = `# HELP read_seconds Time that reads took.
# TYPE read_seconds histogram
read_seconds_bucket{disk="sda",le="0.01"} 990
read_seconds_bucket{disk="sda",le="0.1"} 1000
read_seconds_bucket{disk="sda",le="+Inf"} 1000
read_seconds_sum{disk="sda"} 7
read_seconds_count{disk="sda"} 1000
read_seconds_bucket{disk="sdb",le="0.01"} 0
read_seconds_bucket{disk="sdb",le="0.1"} 0
read_seconds_bucket{disk="sdb",le="+Inf"} 3
read_seconds_sum{disk="sdb"} 4.5
read_seconds_count{disk="sdb"} 3
# HELP write_seconds Time that writes took.
# TYPE write_seconds summary
write_seconds{disk="sda",quantile="0.5"} 0.001
write_seconds{disk="sda",quantile="0.99"} 0.004
write_seconds_sum{disk="sda"} 2
write_seconds_count{disk="sda"} 1500
write_seconds{disk="sdb",quantile="0.5"} 0.9
write_seconds{disk="sdb",quantile="0.99"} 2.5
write_seconds_sum{disk="sdb"} 8.1
write_seconds_count{disk="sdb"} 9
`;
const alone = `# HELP read_seconds Time that reads took.
# TYPE read_seconds histogram
read_seconds_bucket{le="0.01"} 990
read_seconds_bucket{le="+Inf"} 1000
read_seconds_sum 7
read_seconds_count 1000
`;
const [reads, writes] = parse(exported);
const seen = [
  `read_seconds:     ${JSON.stringify(reads.metrics)}`,
  `write_seconds:    ${JSON.stringify(writes.metrics)}`,
  `without labels:   ${JSON.stringify(parse(alone)[0].metrics)}`,
];
console.log(
  "sda answered 1000 reads: 990 within 0.01 s, and all within 0.1 s, 7 s together; sdb answered 3, none within 0.1 s",
);
console.log(seen.join("\n"));
const found = [
  'read_seconds:     [{"buckets":{"0.01":"0","0.1":"0","+Inf":"3"}}]',
  'write_seconds:    [{"quantiles":{"0.5":"0.9","0.99":"2.5"}}]',
  'without labels:   [{"buckets":{"0.01":"990","+Inf":"1000"},"count":"1000","sum":"7"}]',
];
const isAsFound = seen.join() === found.join();
console.log(isAsFound ? "as found" : "this has changed");
process.exit(isAsFound ? 0 : 1);
JS
node try.mjs
