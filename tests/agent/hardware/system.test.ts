/** Who made a machine and by which numbers its maker knows it, as its firmware says. */
import { chmod } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { readSystem } from "../../../src/agent/hardware/system.ts";
import { layOutSystem, reportOf, type SystemTree } from "../support/system-tree.ts";

const dmi = (attributes: SystemTree): SystemTree =>
  Object.fromEntries(Object.entries(attributes).map(([name, content]) => [`class/dmi/id/${name}`, content]));

const sound = {
  sys_vendor: "Supermicro\n",
  product_name: "SYS-F618R2-RTPT+\n",
  product_version: "2.01\n",
  product_serial: "S16604645724353\n",
  product_uuid: "00000000-0000-0000-0000-0CC47A59EC4A\n",
  board_serial: "VM155S027997\n",
  chassis_serial: "CF418AE16N30163\n",
  bios_version: "3.4a\n",
};

describe.runIf(process.platform === "linux")("a system", () => {
  test("is told by all that SMBIOS and the BMC say of it", async () => {
    const bmc = { "bus/platform/devices/ipmi_bmc.0/firmware_revision": "1.73\n" };
    const { report, warning } = await reportOf({ ...dmi(sound), ...bmc });
    expect(warning).toEqual([]);
    expect(report).toMatchObject({
      manufacturer: "Supermicro",
      product: "SYS-F618R2-RTPT+",
      productVersion: "2.01",
      serialNumber: "S16604645724353",
      systemUuid: "00000000-0000-0000-0000-0cc47a59ec4a",
      boardSerialNumber: "VM155S027997",
      chassisSerialNumber: "CF418AE16N30163",
      biosVersion: "3.4a",
      bmcVersion: "1.73",
    });
  });

  test("is told by nothing that is a placeholder, of which a warning tells", async () => {
    const { report, warning } = await reportOf(
      dmi({
        sys_vendor: "To Be Filled By O.E.M.\n",
        product_name: "Default string\n",
        product_version: "x.x\n",
        product_serial: Buffer.from("\xff\xff\xff\xff\n", "latin1"),
        product_uuid: "03000200-0400-0500-0006-000700080009\n",
        board_serial: "BM99X0123\n",
        chassis_serial: "0123456789\n",
        bios_version: "5.11\n",
      }),
    );
    expect(report).toMatchObject({
      manufacturer: "",
      product: "",
      productVersion: "",
      serialNumber: "",
      systemUuid: "",
      boardSerialNumber: "BM99X0123",
      chassisSerialNumber: "",
      biosVersion: "5.11",
    });
    expect(warning).toEqual([
      'system: left out as the firmware\'s placeholders: manufacturer "To Be Filled By O.E.M.", product "Default string", ' +
        'serial number "\ufffd\ufffd\ufffd\ufffd", system UUID "03000200-0400-0500-0006-000700080009", product version "x.x", ' +
        'chassis\'s serial number "0123456789"',
    ]);
  });

  test("without SMBIOS is told by its device tree", async () => {
    const tree = { model: "Raspberry Pi 4 Model B Rev 1.4\0", "serial-number": "10000000a3b5c7d9\0" };
    const files = Object.entries(tree).map(([name, text]) => [`firmware/devicetree/base/${name}`, text] as const);
    const { report, warning } = await reportOf(Object.fromEntries(files));
    expect(report).toMatchObject({ product: "Raspberry Pi 4 Model B Rev 1.4", serialNumber: "10000000a3b5c7d9" });
    expect(warning).toEqual([]);
  });

  test.skipIf(process.getuid?.() === 0)("is told without what only root may read, with a warning", async () => {
    const files = await layOutSystem(dmi(sound));
    await chmod(join(files.sys, "class/dmi/id/product_serial"), 0);
    const { fields, warnings } = await readSystem(files);
    expect(fields).not.toHaveProperty("serialNumber");
    expect(warnings).toEqual(["can be read by root only: serial number"]);
  });
});
