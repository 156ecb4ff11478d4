/** Network interfaces as Linux shows them in sysfs: which are physical, and which address is theirs for good. */
import { describe, expect, test } from "vitest";
import { reportOf, type SystemTree } from "../support/system-tree.ts";

/** An interface with a device behind it. */
function nic(name: string, device: string, attributes: Record<string, string>): SystemTree {
  const entries = Object.entries({ carrier: "1", speed: "25000", ...attributes });
  return {
    [`devices/${device}/vendor`]: "0x8086\n",
    [`class/net/${name}/device`]: `->devices/${device}`,
    ...Object.fromEntries(entries.map(([path, text]) => [`class/net/${name}/${path}`, `${text}\n`])),
  };
}

const hex = (bytes: Uint8Array | undefined) => Buffer.from(bytes ?? []).toString("hex");

async function interfacesOf(tree: SystemTree) {
  const { report, warning } = await reportOf(tree);
  return { found: report?.networkInterface ?? [], warning };
}

const pci = "pci0000:3a/0000:3b:00.0";
const address = "aa:bb:cc:00:00:01";

describe.runIf(process.platform === "linux")("a network interface", () => {
  test("is told with name, PCI address and driver", async () => {
    const driver = { "bus/pci/drivers/ice/bind": "", [`devices/${pci}/driver`]: "->bus/pci/drivers/ice" };
    const { found, warning } = await interfacesOf({
      ...nic("eno1", pci, { address, addr_assign_type: "0" }),
      ...driver,
    });
    expect(found).toMatchObject([
      { name: "eno1", pciAddress: "0000:3b:00.0", driver: "ice", linkUp: true, currentSpeedBytes: 3_125_000_000n },
    ]);
    expect(hex(found[0]?.mac)).toBe("aabbcc000001");
    expect(warning).toEqual([]);
  });

  test.each([
    ["on a virtio bus by that of its bridge to it", `${pci}/virtio3`, "0000:3b:00.0"],
    ["on USB by none, since that is its controller's", `${pci}/usb1/1-1/1-1:1.0`, ""],
  ])("%s", async (_which, device, pciAddress) => {
    expect((await interfacesOf(nic("eth0", device, { address }))).found).toMatchObject([{ name: "eth0", pciAddress }]);
  });

  test("in a bond has its permanent address, not the bond's", async () => {
    const member = (own: string) => ({ address, addr_assign_type: "3", "bonding_slave/perm_hwaddr": own });
    const { found, warning } = await interfacesOf({
      ...nic("eno1", pci, member(address)),
      ...nic("eno2", "pci0000:3a/0000:3b:00.1", member("aa:bb:cc:00:00:02")),
    });
    expect(found.map(({ mac }) => hex(mac))).toEqual(["aabbcc000001", "aabbcc000002"]);
    expect(warning).toEqual([]);
  });

  test.each([
    [
      "set by software",
      "3",
      "network interfaces: eno1: its address was set by software; the permanent one is not known",
    ],
    ["random", "1", "network interfaces: eno1: its address is random, another one at each start"],
  ])("whose address is %s is told with a warning", async (_how, assignment, expected) => {
    const { found, warning } = await interfacesOf(nic("eno1", pci, { address, addr_assign_type: assignment }));
    expect(found).toHaveLength(1);
    expect(warning).toEqual([expected]);
  });

  test("is none that stands for another one: virtual functions, subfunctions, representors", async () => {
    const { found, warning } = await interfacesOf({
      ...nic("p0", pci, { address, phys_port_name: "p0" }),
      ...nic("p0v0", "pci0000:3a/0000:3b:00.2", { address: "5a:11:22:33:44:55" }),
      "devices/pci0000:3a/0000:3b:00.2/physfn": `->devices/${pci}`,
      ...nic("p0s88", `${pci}/mlx5_core.sf.2`, { address: "5a:11:22:33:44:56" }),
      ...nic("pf0vf0", pci, { address: "5a:11:22:33:44:57", phys_port_name: "pf0vf0" }),
      ...nic("pf0hpf", pci, { address: "5a:11:22:33:44:58", phys_port_name: "c1pf0" }),
      "class/net/bond0/address": `${address}\n`,
    });
    expect(found.map(({ name }) => name)).toEqual(["p0"]);
    expect(warning).toEqual([]);
  });

  test.each([
    ["4294967295", 0n],
    ["65535", 0n],
    ["-1", 0n],
    ["0", 0n],
    ["400000", 50_000_000_000n],
  ])("at %s Mbit/s has a speed of %s bytes per second", async (speed, currentSpeedBytes) => {
    expect((await interfacesOf(nic("eno1", pci, { address, speed }))).found).toMatchObject([{ currentSpeedBytes }]);
  });

  test("of InfiniBand is told by its long address without what changes at each start, with a warning", async () => {
    const guid = "fe:80:00:00:00:00:00:00:0c:42:a1:03:00:79:99:1c";
    const { found, warning } = await interfacesOf(
      nic("ibp1s0", pci, { address: `80:00:02:08:${guid}`, speed: "200000" }),
    );
    expect(found).toMatchObject([{ name: "ibp1s0", mac: new Uint8Array(), currentSpeedBytes: 25_000_000_000n }]);
    expect(hex(found[0]?.longAddress)).toBe(`00000000${guid.replaceAll(":", "")}`);
    expect(warning).toEqual([
      "network interfaces: ibp1s0 has no MAC address, but one of 20 bytes, which stands in long_address",
    ]);
  });

  test.each(["", "00:00:00:00:00:00", "01"])("whose address is %j is left out, with a warning", async (none) => {
    const { found, warning } = await interfacesOf(nic("can0", pci, { address: none }));
    expect(found).toEqual([]);
    expect(warning).toEqual(["network interfaces: can0 has no address of 6 bytes or more, so it is left out"]);
  });
});
