#!/usr/bin/env bash
# Shows that systeminformation makes 16 MiB of a 16 GiB module since dmidecode 3.7, swaps the day and the month of the
# firmware's date, and calls no module ECC.
#
#   findings/systeminformation-divides-memory.sh [VERSION]    tries this version of systeminformation; default: 5.33.26
#
# Subject: the npm package systeminformation 5.33.26 of November 2026 on Linux, memLayout, baseboard and bios, which
# read the output of dmidecode. dmidecode 3.7 of December 2025 is in Debian forky and Arch Linux. By its NEWS it uses
# binary unit prefixes, and says firmware where it said BIOS.
#
# What one would guess: a size is the same with both versions, or it is missing where the unit is unknown. The date of
# the firmware is always month/day/year (SMBIOS 3.1.1, DSP0134, section 7.1, offset 08h), so there is nothing to
# guess. A module has error correction if its total width is above its data width (section 7.18, offsets 08h and 0Ah).
#
# What happens: memLayout multiplies by 1024^3 if it finds "GB", and by 1024^2 in all other cases, also for "GiB" and
# for "TB". baseboard takes the number of "Maximum Capacity" for gigabytes always. bios hands the date to a function
# that knows no culture on Linux, and so takes day/month/year; it looks for "BIOS Revision", which dmidecode 3.7 calls
# "Platform Firmware Revision". memLayout compares the widths, but its own grep before that has dropped their lines.
# No error is thrown.
#
# Seen on 2026-11-30, with one table (SMBIOS 3.1.1) from which dmidecode 3.4 and 3.7 of Debian printed what is below:
#   by the table:         16384 MiB ECC, 65536 MiB ECC, of at most 4194304 MiB; firmware 2.50 of 2026-02-11
#   with dmidecode 3.4:   16384 MiB, 65536 MiB, of at most 4096 MiB; firmware 2.50 of 2026-11-02
#   with dmidecode 3.7:   16 MiB, 64 MiB, of at most 4096 MiB; firmware (none) of 2026-11-02
#
# Why it matters: an inventory divides the memory of its machines by 1024 after an upgrade of the distribution,
# machine by machine, and a scheduler or a check of a delivery believes it. A policy "firmware not older than" is
# wrong for most days from the 1st to the 12th, and gets a month 13 to 31 for later ones. All servers appear to have
# no ECC. On Linux, bmaas reads the table from the kernel instead. On other systems it takes memLayout, unless the
# usable memory is more.
#
# Exit status: 0 when it is so, 1 when that has changed, 2 when it could not be tried.
set -euo pipefail

version=${1:-5.33.26}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
[ "$(uname -s)" = Linux ] || { echo "could not be tried: this is not Linux" >&2; exit 2; }

# What dmidecode 3.7 prints.
mkdir 3.7 3.4 bin
cat > 3.7/bios <<'TEXT'
# dmidecode 3.7
SMBIOS 3.1.1 present.

Handle 0x0000, DMI type 0, 26 bytes
Platform Firmware Information
	Vendor: Maker
	Version: U50
	Release Date: 02/11/2026
	Address: 0xF0000
	Runtime Size: 64 KiB
	ROM Size: 32 MiB
	Characteristics:
		PCI is supported
		Firmware is upgradeable
		Firmware shadowing is allowed
		Boot from CD is supported
		Selectable boot is supported
		EDD is supported
		ACPI is supported
		USB legacy is supported
		BIOS boot specification is supported
		Targeted content distribution is supported
		UEFI is supported
	Platform Firmware Revision: 2.50
	Embedded Controller Firmware Revision: 1.40

TEXT
cat > 3.7/memory <<'TEXT'
# dmidecode 3.7
SMBIOS 3.1.1 present.

Handle 0x0010, DMI type 16, 23 bytes
Physical Memory Array
	Location: System Board Or Motherboard
	Use: System Memory
	Error Correction Type: Multi-bit ECC
	Maximum Capacity: 4 TiB
	Error Information Handle: Not Provided
	Number Of Devices: 2

TEXT
# Adds the module $1 with the size $2.
add_module() {
  cat >> 3.7/memory <<TEXT
Handle 0x002$1, DMI type 17, 40 bytes
Memory Device
	Array Handle: 0x0010
	Error Information Handle: Not Provided
	Total Width: 72 bits
	Data Width: 64 bits
	Size: $2
	Form Factor: DIMM
	Set: None
	Locator: DIMM $1
	Bank Locator: CHANNEL $1
	Type: DDR4
	Type Detail: Synchronous Registered (Buffered)
	Speed: 3200 MT/s
	Manufacturer: Maker
	Serial Number: 1000$1
	Asset Tag: Not Specified
	Part Number: PART-$1
	Rank: 2
	Configured Memory Speed: 2933 MT/s
	Minimum Voltage: Unknown
	Maximum Voltage: Unknown
	Configured Voltage: 1.2 V

TEXT
}
add_module 0 "16 GiB"
add_module 1 "64 GiB"
# dmidecode 3.4 prints the same in these words.
for name in bios memory; do
  sed -e 's/ KiB$/ kB/' -e 's/ \([MGT]\)iB$/ \1B/' -e 's/Platform Firmware Revision/BIOS Revision/' \
    -e 's/Embedded Controller Firmware/Firmware/' -e 's/Platform Firmware/BIOS/' -e 's/dmidecode 3.7/dmidecode 3.4/' \
    -e 's/Firmware is upgradeable/BIOS is upgradeable/' -e 's/Firmware shadowing/BIOS shadowing/' \
    "3.7/$name" > "3.4/$name"
done
# It stands for dmidecode -t TYPE; the table has no structure of other types.
cat > bin/dmidecode <<'SH'
#!/bin/sh
[ ! -f "$DMIDECODE_TEXTS/$2" ] || cat "$DMIDECODE_TEXTS/$2"
SH
chmod +x bin/dmidecode

cat > read.cjs <<'JS'
const { baseboard, bios, memLayout } = require("systeminformation");
const mebibyte = 1024 * 1024;
(async () => {
  const modules = (await memLayout()).map(({ size, ecc }) => `${size / mebibyte} MiB${ecc ? " ECC" : ""}`).join(", ");
  const { memMax } = await baseboard();
  const { releaseDate, revision } = await bios();
  console.log(`${modules}, of at most ${memMax / mebibyte} MiB; firmware ${revision || "(none)"} of ${releaseDate}`);
})();
JS
npm install --no-audit --no-fund --ignore-scripts "systeminformation@$version" > npm.log 2>&1 ||
  { cat npm.log >&2; exit 2; }

echo "by the table:         16384 MiB ECC, 65536 MiB ECC, of at most 4194304 MiB; firmware 2.50 of 2026-02-11"
found=(
  "with dmidecode 3.4:   16384 MiB, 65536 MiB, of at most 4096 MiB; firmware 2.50 of 2026-11-02"
  "with dmidecode 3.7:   16 MiB, 64 MiB, of at most 4096 MiB; firmware (none) of 2026-11-02"
)
is_as_found=yes
for each in "${found[@]}"; do
  of=${each#with dmidecode } && of=${of%%:*}
  seen="with dmidecode $of:   $(DMIDECODE_TEXTS="$folder/$of" PATH="$folder/bin:$PATH" node read.cjs)"
  echo "$seen"
  [ "$seen" = "$each" ] || is_as_found=no
done
[ "$is_as_found" = yes ] || { echo "this has changed"; exit 1; }
echo "as found"
