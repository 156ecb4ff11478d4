#!/usr/bin/env bash
# Shows that linux-blockutils finds no partitions on NVMe disks and SD cards, the ones that the machine runs from
# included, and cuts labels.
#
#   findings/blockutils-hides-nvme-partitions.sh [VERSION]    tries this version of linux-blockutils; default: 0.2.0
#
# Subject: the npm package linux-blockutils 0.2.0, getBlockInfo(), with lsblk of util-linux 2.38.1 (Debian 12).
#
# What one would guess: each disk is returned with its partitions in PARTITIONS, as the README shows for sda. Disks with
# an empty list have none.
#
# What happens: the package looks for a partition's disk by what stands before the first digit of its name. For sda1
# this is "sda", for nvme0n1p1 "nvme", for mmcblk0p1 "mmcblk", and for md0p1 "md": no such disk is known, and the
# partition is left out. lsblk itself names a device's parent (PKNAME). A value is cut at its second "=", although lsblk
# quotes it.
#
# Seen on 2026-12-01, with lsblk's own --sysroot on a folder that has /sys of such a machine:
#   sda       lsblk: sda1                       blockutils: sda1
#   nvme0n1   lsblk: nvme0n1p1, nvme0n1p2       blockutils: none
#   nvme1n1   lsblk: none                       blockutils: none
#   mmcblk0   lsblk: mmcblk0p1                  blockutils: none
#   model "X=Y 100" of sda                      blockutils: "X"
#
# Why it matters: an installer that takes a disk without partitions for a free one finds two here, and one of them holds
# the system. No error is thrown, and every disk with SATA or SAS is right. `lsblk --json --tree` has the partitions of
# a disk as its children. bmaas's agent reads /sys (src/agent/hardware), and does not use the package.
#
# Exit status: 0 when it is so, 1 when that has changed, 2 when it could not be tried.
set -euo pipefail

version=${1:-0.2.0}
command -v lsblk > /dev/null || { echo "could not be tried: no lsblk" >&2; exit 2; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

# The lsblk that the package is told to run lets the real one look at the folder instead of at this machine.
printf '#!/bin/sh\nexec %s --sysroot %s "$@"\n' "$(command -v lsblk)" "$folder/root" > lsblk
chmod +x lsblk

cat > main.js <<'JS'
"use strict";
const { execFileSync } = require("node:child_process");
const fs = require("node:fs");
const { dirname, join, relative } = require("node:path");
const { getBlockInfo } = require("linux-blockutils");

const folder = process.argv[2];

function write(path, content) {
  fs.mkdirSync(dirname(join(folder, "root", path)), { recursive: true });
  fs.writeFileSync(join(folder, "root", path), `${content}\n`);
}

function link(path, target) {
  fs.mkdirSync(dirname(join(folder, "root", path)), { recursive: true });
  fs.symlinkSync(relative(dirname(path), target), join(folder, "root", path));
}

function addBlockDevice(path, numbers, isPartition) {
  const name = path.split("/").at(-1);
  write(`${path}/dev`, numbers);
  write(`${path}/size`, 937703088);
  write(`${path}/ro`, 0);
  write(`${path}/uevent`, `DEVNAME=${name}\nDEVTYPE=${isPartition ? "partition" : "disk"}`);
  link(`sys/dev/block/${numbers}`, path);
  link(`sys/class/block/${name}`, path);
}

/** Adds a disk with partitions behind a controller, as the kernel shows it in sysfs. */
function addDisk(controller, name, major, minor, model, partitions) {
  const device = `sys/devices/pci0000:00/${controller}`;
  const disk = `${device}/block/${name}`;
  addBlockDevice(disk, `${major}:${minor}`, false);
  write(`${device}/model`, model);
  write(`${disk}/removable`, 0);
  write(`${disk}/hidden`, 0);
  link(`${disk}/subsystem`, "sys/class/block");
  link(`${disk}/device`, device);
  link(`sys/block/${name}`, disk);
  partitions.forEach((partition, index) => {
    addBlockDevice(`${disk}/${partition}`, `${major}:${minor + index + 1}`, true);
    write(`${disk}/${partition}/partition`, index + 1);
    write(`${disk}/${partition}/start`, 2048 * (index + 1));
  });
}

function createMachine() {
  addDisk("0000:00:17.0/sata", "sda", 8, 0, "X=Y 100", ["sda1"]);
  addDisk("0000:01:00.0/nvme0", "nvme0n1", 259, 0, "NVMe", ["nvme0n1p1", "nvme0n1p2"]);
  addDisk("0000:02:00.0/nvme1", "nvme1n1", 259, 8, "NVMe", []);
  addDisk("0000:03:00.0/mmc0", "mmcblk0", 179, 0, "SD", ["mmcblk0p1"]);
  write("proc/self/mountinfo", "");
  write("proc/swaps", "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority");
}

createMachine();
const lsblk = join(folder, "lsblk");
const output = execFileSync(lsblk, ["--json", "--output", "NAME,TYPE"], { encoding: "utf8" });
const tree = new Map(JSON.parse(output).blockdevices.map(({ name, children = [] }) => [name, children]));
const list = (names) => names.join(", ") || "none";

getBlockInfo({ lsblk }, (error, disks) => {
  if (error !== null) {
    console.error("could not be tried:", error);
    process.exit(2);
  }
  const seen = ["sda", "nvme0n1", "nvme1n1", "mmcblk0"].map((name) => {
    const partitions = disks.find((disk) => disk.NAME === name).PARTITIONS;
    const byLsblk = `lsblk: ${list(tree.get(name).map((child) => child.name))}`;
    return `${name.padEnd(9)} ${byLsblk.padEnd(33)} blockutils: ${list(partitions.map(({ NAME }) => NAME))}`;
  });
  const { MODEL } = disks.find(({ NAME }) => NAME === "sda");
  seen.push(`${'model "X=Y 100" of sda'.padEnd(43)} blockutils: "${MODEL}"`);
  console.log(seen.join("\n"));
  const found = [
    "sda       lsblk: sda1                       blockutils: sda1",
    "nvme0n1   lsblk: nvme0n1p1, nvme0n1p2       blockutils: none",
    "nvme1n1   lsblk: none                       blockutils: none",
    "mmcblk0   lsblk: mmcblk0p1                  blockutils: none",
    'model "X=Y 100" of sda                      blockutils: "X"',
  ];
  const isAsFound = seen.join("\n") === found.join("\n");
  console.log(isAsFound ? "as found" : "this has changed");
  process.exit(isAsFound ? 0 : 1);
});
JS
{ npm init --yes && npm install --no-audit --no-fund "linux-blockutils@$version"; } > npm.log 2>&1 ||
  { cat npm.log >&2; exit 2; }
timeout 60 node main.js "$folder" || exit $(( $? == 124 ? 2 : $? ))
