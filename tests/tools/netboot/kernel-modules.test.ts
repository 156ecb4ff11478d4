import { describe, expect, test } from "vitest";
import { chooseModules, filterIndex, parseDependencies } from "../../../tools/netboot/kernel-modules.ts";

const dependencies =
  parseDependencies(`kernel/drivers/net/virtio_net.ko: kernel/net/core/failover.ko kernel/drivers/virtio/virtio.ko
kernel/net/core/failover.ko:
kernel/drivers/virtio/virtio.ko:
kernel/drivers/virtio/virtio_pci.ko: kernel/drivers/virtio/virtio.ko
kernel/drivers/net/virtio_net_other.ko.xz:
kernel/sound/snd.ko:
`);

describe("the modules of an initramfs", () => {
  test("are the wanted ones and what they need, each once and sorted", () => {
    expect(chooseModules(dependencies, ["drivers/virtio/", "drivers/net/virtio_net"])).toEqual([
      "kernel/drivers/net/virtio_net.ko",
      "kernel/drivers/net/virtio_net_other.ko.xz",
      "kernel/drivers/virtio/virtio.ko",
      "kernel/drivers/virtio/virtio_pci.ko",
      "kernel/net/core/failover.ko",
    ]);
  });

  test("are missed when a kernel keeps them elsewhere", () => {
    expect(() => chooseModules(dependencies, ["drivers/moved/"])).toThrow(
      "the kernel has no modules in drivers/moved/",
    );
  });

  test("have their lines of the indexes, and no others", () => {
    const lines = [
      "# Aliases extracted from modules themselves.",
      "alias pci:v00001AF4d*sv*sd*bc*sc*i* virtio_pci",
      "alias usb:v1234* snd",
      "softdep virtio-pci pre: virtio",
      "softdep snd pre: virtio_pci",
    ];
    expect(filterIndex(lines, new Set(["virtio_pci", "virtio"]))).toEqual([
      "alias pci:v00001AF4d*sv*sd*bc*sc*i* virtio_pci",
      "softdep virtio-pci pre: virtio",
    ]);
  });
});
