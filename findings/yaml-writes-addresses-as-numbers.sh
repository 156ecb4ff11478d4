#!/usr/bin/env bash
# Shows that the npm package yaml writes a MAC address without letters as what cloud-init reads as a number, so that the
# machine has no network.
#
#   findings/yaml-writes-addresses-as-numbers.sh [VERSION]    tries this version of yaml; default: 2.9.1
#
# Subject: the npm package yaml 2.9.1, stringify(), with readers of YAML 1.1: PyYAML 6.0 (Debian 12; left out where it
# is not installed), by which cloud-init reads all it is given, and the npm package js-yaml 3.14.2.
#
# What one would guess: a text is quoted where it would else be read as something other, as "0644" and "5e7" are. MAC
# addresses are texts in every language of configuration.
#
# What happens: the package writes YAML 1.2, where nothing but a text has colons. In YAML 1.1 an integer can be written
# in base 60, for times and angles: [-+]?[1-9][0-9_]*(:[0-5]?[0-9])+ (https://yaml.org/type/int.html). This is the form
# of a MAC address of decimal digits, whose first digit is not 0 and whose other bytes are below 60. Both packages are
# right by their version; the file does not say its version.
#
# Seen on 2026-12-01, for three network cards with Dell's prefix 54:48:10, Intel's 38:00:25 and QEMU's 52:54:00:
#   stringify, 1.2    54:48:10:20:31:42  PyYAML: 42614713902     js-yaml 3: 42614713902
#   stringify, 1.2    54:48:10:20:31:4c  PyYAML: text            js-yaml 3: text
#   stringify, 1.2    38:00:25:11:07:50  PyYAML: 29554240070     js-yaml 3: 29554240070
#   stringify, 1.2    52:54:00:12:34:56  PyYAML: 41135085296     js-yaml 3: 41135085296
#   compat yaml-1.1   54:48:10:20:31:42  PyYAML: text            js-yaml 3: text
# cloud-init 22.4.2 (Debian 12) then made "MACAddress=42614713902" of the first one, for systemd-networkd, from either
# version of its network configuration, without a warning: the file matches no network card.
#
# Why it matters: whoever makes cloud-init's network configuration from a list of machines has 641 assigned prefixes for
# which this happens (oui-data 2.1.9), to one card in 78 of theirs: (60/256)^3. The others work, so the one that has no
# address looks broken. stringify(value, { compat: "yaml-1.1" }) quotes such texts, and JSON is YAML to all readers.
# bmaas reads YAML by this package, in seed files, and writes none.
#
# Exit status: 0 when it is so, 1 when that has changed, 2 when it could not be tried.
set -euo pipefail

version=${1:-2.9.1}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

cat > main.js <<'JS'
"use strict";
const { execFileSync } = require("node:child_process");
const { load } = require("js-yaml");
const { stringify } = require("yaml");

const hasPyYaml = process.argv[2] === "yes";
const script = "import json, sys, yaml; print(json.dumps(yaml.safe_load(sys.stdin)))";

const describe = (value) => (typeof value === "string" ? "text" : `${value}`);

function readByPyYaml(document) {
  if (!hasPyYaml) {
    return "(not installed)";
  }
  return describe(JSON.parse(execFileSync("python3", ["-c", script], { encoding: "utf8", input: document })).mac);
}

function tryOne(name, mac, options) {
  const document = stringify({ mac }, options);
  const readers = [`PyYAML: ${readByPyYaml(document).padEnd(15)}`, `js-yaml 3: ${describe(load(document).mac)}`];
  return `${name.padEnd(17)} ${mac}  ${readers.join(" ")}`;
}

function main() {
  const seen = [
    tryOne("stringify, 1.2", "54:48:10:20:31:42"),
    tryOne("stringify, 1.2", "54:48:10:20:31:4c"),
    tryOne("stringify, 1.2", "38:00:25:11:07:50"),
    tryOne("stringify, 1.2", "52:54:00:12:34:56"),
    tryOne("compat yaml-1.1", "54:48:10:20:31:42", { compat: "yaml-1.1" }),
  ];
  console.log(seen.join("\n"));
  const found = [
    "stringify, 1.2    54:48:10:20:31:42  PyYAML: 42614713902     js-yaml 3: 42614713902",
    "stringify, 1.2    54:48:10:20:31:4c  PyYAML: text            js-yaml 3: text",
    "stringify, 1.2    38:00:25:11:07:50  PyYAML: 29554240070     js-yaml 3: 29554240070",
    "stringify, 1.2    52:54:00:12:34:56  PyYAML: 41135085296     js-yaml 3: 41135085296",
    "compat yaml-1.1   54:48:10:20:31:42  PyYAML: text            js-yaml 3: text",
  ];
  const withoutPyYaml = (lines) => lines.map((line) => line.replace(/PyYAML: .{15}/, "")).join("\n");
  const isAsFound = hasPyYaml ? seen.join("\n") === found.join("\n") : withoutPyYaml(seen) === withoutPyYaml(found);
  console.log(isAsFound ? "as found" : "this has changed");
  process.exit(isAsFound ? 0 : 1);
}

try {
  main();
} catch (error) {
  console.error("could not be tried:", error);
  process.exit(2);
}
JS
{ npm init --yes && npm install --no-audit --no-fund "yaml@$version" js-yaml@3.14.2; } > npm.log 2>&1 ||
  { cat npm.log >&2; exit 2; }
has_pyyaml=no
if python3 -c "import yaml" 2> /dev/null; then has_pyyaml=yes; fi
timeout 60 node main.js "$has_pyyaml" || exit $(( $? == 124 ? 2 : $? ))
