/** Reads the physical network interfaces of the machine. */
import { basename, dirname } from "node:path";
import { create } from "@bufbuild/protobuf";
import { networkInterfaces } from "systeminformation";
import { type NetworkInterface, NetworkInterfaceSchema } from "../../../gen/cloud/agent/api/hwreport_pb.js";
import { toInt64, toText } from "./fields.ts";
import { findCount, findTarget, findTargetName, findText, listNames, type SystemFiles } from "./sysfs.ts";

const bytesPerSecondPerMegabit = 125_000;

/** Speeds that mean unknown: SPEED_UNKNOWN of Linux's ethtool.h in 32 bits and, by older drivers, in 16 bits. */
const unknownMegabits: ReadonlySet<number> = new Set([2 ** 32 - 1, 2 ** 16 - 1]);

const macBytes = 6;
const infinibandBytes = 20;
/** Length of the flags and the queue pair number in an InfiniBand address (RFC 4391 section 9.1.1). */
const queuePairBytes = 4;

/** Origins of an address: Linux's NET_ADDR_* of netdevice.h. */
const assignments = { random: 1, set: 3 } as const;

/** An interface with warnings about it, or only the reason why it is left out. */
interface Found {
  readonly item?: NetworkInterface;
  readonly warnings: readonly string[];
}

/** Reads the interfaces: on Linux those with a device, elsewhere those that are not virtual. */
export async function readNetworkInterfaces({ sys }: SystemFiles) {
  const found = process.platform === "linux" ? await readFromLinux(sys) : await readElsewhere();
  const networkInterface = found.map(({ item }) => item).filter((item) => item !== undefined);
  return { fields: { networkInterface }, warnings: found.flatMap(({ warnings }) => warnings) };
}

async function readFromLinux(sys: string): Promise<Found[]> {
  const names = await listNames(sys, "class/net");
  const found = await Promise.all(names.map((name) => findPhysical(sys, name)));
  return found.filter((item) => item !== undefined);
}

async function findPhysical(sys: string, name: string): Promise<Found | undefined> {
  const of = (...path: string[]): [string, ...string[]] => [sys, "class/net", name, ...path];
  const device = await findTarget(...of("device"));
  if (device === undefined || (await isStandIn(device, of))) return undefined;
  const [permanent, current, assignment, driver, carrier, megabits = 0] = await Promise.all([
    findText(...of("bonding_slave/perm_hwaddr")),
    findText(...of("address")),
    findCount(...of("addr_assign_type")),
    findTargetName(...of("device/driver")),
    findCount(...of("carrier")),
    findCount(...of("speed")),
  ]);
  const address = parseAddress(permanent) ?? parseAddress(current);
  if (address === undefined) return { warnings: [`${name} has no address of 6 bytes or more, so it is left out`] };
  const linkUp = carrier === 1;
  const item = create(NetworkInterfaceSchema, {
    ...toAddressFields(address),
    name: toText(name),
    pciAddress: findPciAddress(device),
    driver: toText(driver),
    linkUp,
    currentSpeedBytes: linkUp && !unknownMegabits.has(megabits) ? toInt64(megabits * bytesPerSecondPerMegabit) : 0n,
  });
  return { item, warnings: [...warnOfAddress(name, { address, assignment, isPermanent: permanent !== undefined })] };
}

/**
 * Returns whether an interface is a virtual function of another one, a subfunction, or a representor, by which a switch
 * in the adapter is configured. Ports are named as by Linux's devlink.
 */
async function isStandIn(device: string, of: (...path: string[]) => [string, ...string[]]): Promise<boolean> {
  const [physicalFunction, portName = ""] = await Promise.all([
    findTarget(...of("device/physfn")),
    findText(...of("phys_port_name")),
  ]);
  const isSubfunction = /\.sf\.\d+$/.test(basename(device));
  return physicalFunction !== undefined || isSubfunction || /^(?:c\d+)?pf\d+(?:[vs]f\d+|hpf)?$/.test(portName);
}

function toAddressFields(address: Uint8Array<ArrayBuffer>) {
  if (address.length === macBytes) return { mac: address };
  const longAddress = Uint8Array.from(address);
  if (address.length === infinibandBytes) longAddress.fill(0, 0, queuePairBytes);
  return { longAddress };
}

function* warnOfAddress(
  name: string,
  { address, assignment, isPermanent }: { address: Uint8Array; assignment: number | undefined; isPermanent: boolean },
): Generator<string> {
  if (address.length !== macBytes) {
    yield `${name} has no MAC address, but one of ${address.length} bytes, which stands in long_address`;
  }
  if (isPermanent) return;
  if (assignment === assignments.set) yield `${name}: its address was set by software; the permanent one is not known`;
  if (assignment === assignments.random) yield `${name}: its address is random, another one at each start`;
}

/**
 * Returns the PCI address of a device, or "" if it is on another bus. A virtio device is on its own bus, directly below
 * a PCI device. A USB device counts as not on PCI.
 */
function findPciAddress(device: string): string {
  const name = basename(device);
  const slot = /^virtio\d+$/.test(name) ? basename(dirname(device)) : name;
  return /^[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]$/.test(slot) ? slot : "";
}

async function readElsewhere(): Promise<Found[]> {
  const answer = await networkInterfaces();
  return [answer].flat().flatMap((item) => {
    const address = parseAddress(item.mac);
    if (address === undefined || item.virtual || item.internal) return [];
    const linkUp = item.operstate === "up";
    const currentSpeedBytes = linkUp ? toInt64((item.speed ?? 0) * bytesPerSecondPerMegabit) : 0n;
    const name = toText(item.iface);
    return [
      {
        item: create(NetworkInterfaceSchema, { ...toAddressFields(address), name, linkUp, currentSpeedBytes }),
        warnings: [],
      },
    ];
  });
}

/**
 * Parses an address of 6 to 32 bytes (Linux's MAX_ADDR_LEN). Returns undefined for anything else, and for all zeros.
 */
function parseAddress(text: string | undefined): Uint8Array<ArrayBuffer> | undefined {
  if (text === undefined || !/^[0-9a-f]{2}(?::[0-9a-f]{2}){5,31}$/i.test(text) || /^[0:]+$/.test(text))
    return undefined;
  return Uint8Array.from(text.split(":"), (digits) => Number.parseInt(digits, 16));
}
