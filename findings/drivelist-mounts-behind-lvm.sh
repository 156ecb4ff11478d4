#!/usr/bin/env bash
# Shows that drivelist finds no mount points on a disk that is used by way of LVM, RAID or LUKS, the root disk included.
#
#   findings/drivelist-mounts-behind-lvm.sh [VERSION]    tries this version of drivelist; default: 12.0.2
#
# Subject: the npm package drivelist 12.0.2 on Linux, with lsblk of util-linux 2.38.1 (Debian 12).
#
# What one would guess: `mountpoints` of a drive names the file systems on it that are mounted, as the README's example
# does with "/". A tool that writes images takes a drive with none for one that is free, and one of which `isSystem` is
# false for one that the system does not run from. lsblk prints what lies on a partition as that partition's `children`,
# at any depth, as in the tree that it shows by default (lsblk(8), "--json" and "--tree").
#
# What happens: transform() in lsblk/json.js looks at the drive's children, which are its partitions, and no further. A
# logical volume, an array or a LUKS mapping is a child of the partition. `isSystem` is computed without any mount
# point: it is true for whatever is not removable, so false for all that is attached by USB, from which servers do start
# (internal USB and SD modules). No error is thrown.
#
# Seen on 2026-11-30, with lsblk's own --sysroot on a folder that has /sys and /proc of such a machine:
#   /dev/sda   lsblk: / (lvm)           drivelist: mountpoints [], isSystem false
#   /dev/sdb   lsblk: /srv (raid1)      drivelist: mountpoints [], isSystem true
#   /dev/sdc   lsblk: /srv (raid1)      drivelist: mountpoints [], isSystem true
#   /dev/sdd   lsblk: /keys (crypt)     drivelist: mountpoints [], isSystem true
#   /dev/sde   lsblk: /data (part)      drivelist: mountpoints [/data], isSystem true
#
# Why it matters: the drive that the machine runs from looks like a USB stick that somebody has plugged in to be
# written, and the members of an array look unused. A plain partition is seen, so a test on a laptop or a cloud image
# passes. Ask lsblk for itself, and go through its children to the end; src/agent/hardware reads /sys and does not use
# drivelist.
#
# Exit status: 0 when it is so, 1 when that has changed, 2 when it could not be tried.
set -euo pipefail

version=${1:-12.0.2}
command -v lsblk > /dev/null || { echo "could not be tried: no lsblk" >&2; exit 2; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

# drivelist runs the lsblk that it finds; this one lets the real one look at the folder instead of at this machine.
mkdir bin
printf '#!/bin/sh\nexec %s --sysroot %s "$@"\n' "$(command -v lsblk)" "$folder/root" > bin/lsblk
chmod +x bin/lsblk

cat > main.js <<'JS'
"use strict";
const { execFileSync } = require("node:child_process");
const fs = require("node:fs");
const { dirname, join, relative } = require("node:path");
const { lsblk } = require("drivelist/js/lsblk");

const root = process.argv[2];

function write(path, content) {
  fs.mkdirSync(dirname(join(root, path)), { recursive: true });
  fs.writeFileSync(join(root, path), `${content}\n`);
}

function link(path, target) {
  fs.mkdirSync(dirname(join(root, path)), { recursive: true });
  fs.symlinkSync(relative(dirname(path), target), join(root, path));
}

/** Adds a block device as the kernel shows it in sysfs. Partitions are in the folder of their disk. */
function addBlockDevice(path, numbers, sectors, isPartition = false) {
  const name = path.split("/").at(-1);
  write(`${path}/dev`, numbers);
  write(`${path}/size`, sectors);
  write(`${path}/ro`, 0);
  write(`${path}/uevent`, `DEVNAME=${name}\nDEVTYPE=${isPartition ? "partition" : "disk"}`);
  link(`sys/dev/block/${numbers}`, path);
  link(`sys/class/block/${name}`, path);
  if (!isPartition) {
    write(`${path}/removable`, 0);
    write(`${path}/hidden`, 0);
    link(`${path}/subsystem`, "sys/class/block");
    link(`sys/block/${name}`, path);
  }
}

/** Adds a disk with one partition behind the controller. */
function addDisk(controller, index, vendor, model) {
  const name = `sd${"abcde"[index]}`;
  const target = `${controller}/host${index}/target${index}:0:0/${index}:0:0:0`;
  write(`${target}/vendor`, vendor);
  write(`${target}/model`, model);
  write(`${target}/type`, 0);
  link(`${target}/subsystem`, "sys/bus/scsi");
  const disk = `${target}/block/${name}`;
  addBlockDevice(disk, `8:${16 * index}`, 937703088);
  link(`${disk}/device`, target);
  const partition = `${disk}/${name}1`;
  addBlockDevice(partition, `8:${16 * index + 1}`, 937701000, true);
  write(`${partition}/partition`, 1);
  write(`${partition}/start`, 2048);
  return partition;
}

/** Adds a device that lies on others. */
function addOn(members, name, numbers, sectors) {
  const path = `sys/devices/virtual/block/${name}`;
  addBlockDevice(path, numbers, sectors);
  for (const member of members) {
    link(`${path}/slaves/${member.split("/").at(-1)}`, member);
    link(`${member}/holders/${name}`, path);
  }
  return path;
}

function createMachine() {
  const usb = "sys/devices/pci0000:00/0000:00:14.0/usb1/1-3/1-3:1.0";
  const sata = "sys/devices/pci0000:00/0000:00:17.0/ata1";
  fs.mkdirSync(join(root, "sys/bus/usb/devices"), { recursive: true });
  fs.mkdirSync(join(root, "sys/bus/scsi/devices"), { recursive: true });
  link(`${usb}/subsystem`, "sys/bus/usb");
  const module = addDisk(usb, 0, "DELL", "IDSDM");
  const [first, second, locked, plain] = [1, 2, 3, 4].map((index) => addDisk(sata, index, "ATA", "SSD"));

  const volume = addOn([module], "dm-0", "253:0", 900000000);
  write(`${volume}/dm/name`, "vg0-root");
  write(`${volume}/dm/uuid`, "LVM-0123");
  const array = addOn([first, second], "md0", "9:0", 937600000);
  write(`${array}/md/level`, "raid1");
  const mapping = addOn([locked], "dm-1", "253:1", 937600000);
  write(`${mapping}/dm/name`, "keys");
  write(`${mapping}/dm/uuid`, "CRYPT-LUKS2-0123-keys");

  write(
    "proc/self/mountinfo",
    [
      "22 1 253:0 / / rw,relatime shared:1 - ext4 /dev/mapper/vg0-root rw",
      "23 22 9:0 / /srv rw,relatime shared:2 - ext4 /dev/md0 rw",
      "24 22 253:1 / /keys rw,relatime shared:3 - ext4 /dev/mapper/keys rw",
      "25 22 8:65 / /data rw,relatime shared:4 - ext4 /dev/sde1 rw",
    ].join("\n"),
  );
  write("proc/swaps", "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority");
  return plain;
}

/** All mount points of a device of lsblk and of what lies on it. */
function findMounts({ mountpoint, type, children = [] }) {
  return [...(mountpoint ? [`${mountpoint} (${type})`] : []), ...children.flatMap(findMounts)];
}

async function main() {
  createMachine();
  const output = execFileSync("lsblk", ["--json", "--paths", "--output", "NAME,TYPE,MOUNTPOINT"], { encoding: "utf8" });
  const devices = new Map(JSON.parse(output).blockdevices.map((device) => [device.name, device]));
  const seen = (await lsblk()).map(
    ({ device, mountpoints, isSystem }) =>
      `${device}   ${`lsblk: ${findMounts(devices.get(device)).join(", ")}`.padEnd(22)}   ` +
      `drivelist: mountpoints [${mountpoints.map(({ path }) => path).join(", ")}], isSystem ${isSystem}`,
  );
  console.log(seen.join("\n"));
  const found = [
    "/dev/sda   lsblk: / (lvm)           drivelist: mountpoints [], isSystem false",
    "/dev/sdb   lsblk: /srv (raid1)      drivelist: mountpoints [], isSystem true",
    "/dev/sdc   lsblk: /srv (raid1)      drivelist: mountpoints [], isSystem true",
    "/dev/sdd   lsblk: /keys (crypt)     drivelist: mountpoints [], isSystem true",
    "/dev/sde   lsblk: /data (part)      drivelist: mountpoints [/data], isSystem true",
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
# The package's compiled part is for macOS and Windows: on Linux list() returns what lsblk() does, which is called here.
{ npm init --yes && npm install --no-audit --no-fund --ignore-scripts "drivelist@$version"; } > npm.log 2>&1 ||
  { cat npm.log >&2; exit 2; }
PATH="$folder/bin:$PATH" timeout 60 node main.js "$folder/root" || exit $(( $? == 124 ? 2 : $? ))
