/** What is a root device: the operators' contract, seed files and agents judge alike. */
import { create } from "@bufbuild/protobuf";
import { createValidator } from "@bufbuild/protovalidate";
import { expect, test } from "vitest";
import { ImageTargetSchema, MetropolisTargetSchema } from "../../gen/bmaas/admin/v1/installation_pb.js";
import { parseDevice } from "../../src/contract/installation-rules.ts";

const validator = createValidator();

/** Messages of the contract about the device, the same for both targets. */
function judgeByContract(rootDevice: string): string[] {
  const targets = [
    validator.validate(ImageTargetSchema, create(ImageTargetSchema, { rootDevice })),
    validator.validate(MetropolisTargetSchema, create(MetropolisTargetSchema, { rootDevice })),
  ];
  const [image, metropolis] = targets.map((result) =>
    (result.violations ?? [])
      .filter(({ field }) => field.some((step) => step.kind === "field" && step.name === "root_device"))
      .map(({ message }) => message),
  );
  expect(image).toEqual(metropolis);
  return image ?? [];
}

test.each([
  ...["sda", "sdaa", "vdb", "xvda", "hda", "nvme0n1", "nvme10n12", "mmcblk0", "pmem0", "dasda", "cciss", "mtdblock0"],
  // Names that an agent may have for a disk, without being Linux's.
  ...["root-disk", "disk1", "wwn-0x5000c500a1b2c3d4", "nvme"],
])("%s is one", (name) => {
  expect(judgeByContract(name)).toEqual([]);
  expect(parseDevice(name)).toBe(name);
});

test.each([
  ["sda1", "is part of a disk; write the name of the whole disk: sda"],
  ["sdab12", "is part of a disk; write the name of the whole disk: sdab"],
  ["vda2", "is part of a disk; write the name of the whole disk: vda"],
  ["xvda1", "is part of a disk; write the name of the whole disk: xvda"],
  ["hda1", "is part of a disk; write the name of the whole disk: hda"],
  ["dasda1", "is part of a disk; write the name of the whole disk: dasda"],
  ["nvme0n1p2", "is part of a disk; write the name of the whole disk: nvme0n1"],
  ["mmcblk0p1", "is part of a disk; write the name of the whole disk: mmcblk0"],
  ["mmcblk0boot1", "is part of a disk; write the name of the whole disk: mmcblk0"],
  ["mmcblk0rpmb", "is part of a disk; write the name of the whole disk: mmcblk0"],
  ["pmem0p1", "is part of a disk; write the name of the whole disk: pmem0"],
  ["dm-0", "is made by the device mapper; write the name of a disk, such as sda or nvme0n1"],
  ["md127", "is a software RAID; write the name of a disk, such as sda or nvme0n1"],
  ["md0p1", "is a software RAID; write the name of a disk, such as sda or nvme0n1"],
  ["loop0", "is made of a file or of memory; write the name of a disk, such as sda or nvme0n1"],
  ["zram0", "is made of a file or of memory; write the name of a disk, such as sda or nvme0n1"],
  ["sr0", "is an optical, floppy or tape drive; write the name of a disk, such as sda or nvme0n1"],
  [
    "nvme0",
    "is a controller, whose disks have names such as nvme0n1; write the name of a disk, such as sda or nvme0n1",
  ],
  ["nvme0c1n1", "is one path of several to a disk; write the name of a disk, such as sda or nvme0n1"],
])("%s is none: it %s", (name, mistake) => {
  expect(judgeByContract(name)).toEqual([
    expect.stringMatching(/^must be a whole disk such as sda or nvme0n1, not a partition/),
  ]);
  expect(() => parseDevice(name)).toThrow(mistake);
});
