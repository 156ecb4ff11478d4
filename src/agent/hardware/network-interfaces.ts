/** The physical network interfaces of the machine. */
import { create } from "@bufbuild/protobuf";
import { networkInterfaces } from "systeminformation";
import { type NetworkInterface, NetworkInterfaceSchema } from "../../../gen/cloud/agent/api/hwreport_pb.js";
import { toInt64, toText } from "./fields.ts";
import { findCount, findTarget, findTargetName, findText, listNames, type SystemFiles } from "./sysfs.ts";

const bytesPerSecondPerMegabit = 125_000;

/** Reads the interfaces that have a device behind them from Linux, and those that are not virtual elsewhere. */
export async function readNetworkInterfaces({ sys }: SystemFiles): Promise<NetworkInterface[]> {
  if (process.platform !== "linux") return await readElsewhere();
  const names = await listNames(sys, "class/net");
  const found = await Promise.all(names.map((name) => findPhysical(sys, name)));
  return found.filter((item) => item !== undefined);
}

async function findPhysical(sys: string, name: string): Promise<NetworkInterface | undefined> {
  const of = (...path: string[]): [string, ...string[]] => [sys, "class/net", name, ...path];
  const mac = parseMac(await findText(...of("address")));
  if (mac === undefined || (await findTarget(...of("device"))) === undefined) return undefined;
  const [driver, carrier, megabits] = await Promise.all([
    findTargetName(...of("device/driver")),
    findCount(...of("carrier")),
    findCount(...of("speed")),
  ]);
  return create(NetworkInterfaceSchema, {
    mac,
    driver: toText(driver),
    linkUp: carrier === 1,
    currentSpeedBytes: carrier === 1 ? toInt64((megabits ?? 0) * bytesPerSecondPerMegabit) : 0n,
  });
}

async function readElsewhere(): Promise<NetworkInterface[]> {
  const answer = await networkInterfaces();
  return [answer].flat().flatMap((item) => {
    const mac = parseMac(item.mac);
    if (mac === undefined || item.virtual || item.internal) return [];
    const linkUp = item.operstate === "up";
    const currentSpeedBytes = linkUp ? toInt64((item.speed ?? 0) * bytesPerSecondPerMegabit) : 0n;
    return [create(NetworkInterfaceSchema, { mac, linkUp, currentSpeedBytes })];
  });
}

/** Six bytes; interfaces of other kinds, such as InfiniBand, have longer addresses. */
function parseMac(text: string | undefined): Uint8Array<ArrayBuffer> | undefined {
  if (text === undefined || !/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i.test(text) || /^[0:]+$/.test(text)) return undefined;
  return Uint8Array.from(text.split(":"), (digits) => Number.parseInt(digits, 16));
}
