/** A machine that QEMU emulates: two disks, a network adapter that boots by iPXE, and a serial console. */
import type { ChildProcess } from "node:child_process";
import { accessSync, constants, readFileSync } from "node:fs";
import { StringDecoder } from "node:string_decoder";
import { stripVTControlCharacters } from "node:util";
import { ConsoleLines } from "./console-lines.ts";
import { isRunning, type Processes } from "./processes.ts";
import { tell, tellConsole } from "./transcript.ts";

/** What a proof needs beside Node, and Debian's packages that have it. */
export const machineTools = {
  "qemu-system-x86_64": "qemu-system-x86",
  "/usr/lib/ipxe/qemu/pxe-virtio.rom": "ipxe-qemu",
  "/usr/share/seabios/bios-256k.bin": "seabios",
};

/** Address of this machine in the network that QEMU emulates for its own. */
export const hostAddress = "10.0.2.2";

/** A disk: its serial number, and the file that holds it. */
export interface MachineDisk {
  readonly serialNumber: string;
  readonly file: string;
}

/** What the machine is. */
export interface MachineOptions {
  readonly serialNumber: string;
  readonly uuid: string;
  readonly mac: string;
  /** In the order of their places on the bus, from which Linux derives their names. */
  readonly disks: readonly MachineDisk[];
  /** Serial number of the disk from which the firmware boots. A BIOS tries one disk. */
  readonly bootDisk: string;
  /** URL of iPXE's script, after the disk; undefined for a machine without a network. */
  readonly bootUrl: string | undefined;
  /** Time of the machine's clock when it is switched on, for example "2001-01-01". Default: the right time. */
  readonly clock?: string;
}

const memoryMib = 1536;

/** The emulator that is running, and what its console has shown. */
export class Machine {
  readonly #child: ChildProcess;
  readonly #exited: Promise<void>;
  #console = "";
  #line = "";
  readonly #lines = new ConsoleLines();
  #waiting: (() => void)[] = [];

  /** Switches the machine on, as one of the processes. */
  constructor(processes: Processes, options: MachineOptions) {
    const stdio: ["ignore", "pipe", "pipe"] = ["ignore", "pipe", "pipe"];
    this.#child = processes.spawn("qemu-system-x86_64", listArguments(options), { stdio });
    const decoder = new StringDecoder("utf8");
    this.#child.stdout?.on("data", (chunk: Buffer) => this.#read(decoder.write(chunk)));
    this.#child.stderr?.on("data", (chunk: Buffer) => tell(`qemu: ${chunk.toString().trim()}`));
    this.#exited = new Promise((resolve) => {
      this.#child.once("error", (error) => {
        tell(`qemu: ${error.message}`);
        resolve();
      });
      this.#child.once("exit", () => {
        resolve();
        this.#wake();
      });
    });
  }

  /** Resolves once the console shows the text, after what `see` found last. Rejects when the time is over. */
  async see(text: string | RegExp, timeoutMs: number): Promise<void> {
    const deadline = performance.now() + timeoutMs;
    for (;;) {
      const found = typeof text === "string" ? this.#console.indexOf(text) : this.#console.search(text);
      if (found !== -1) {
        const end = this.#console.indexOf("\n", found);
        this.#console = end === -1 ? "" : this.#console.slice(end + 1);
        return;
      }
      const remainingMs = deadline - performance.now();
      if (remainingMs <= 0) throw new Error(`the machine's console has not shown ${text} in ${timeoutMs / 1000} s`);
      if (!isRunning(this.#child)) throw new Error(`the emulator ended before the console showed ${text}`);
      await this.#news(remainingMs);
    }
  }

  /** Whether the console has shown the text since what `see` found last. */
  hasShown(text: string): boolean {
    return this.#console.includes(text);
  }

  /** Cuts the power: nothing in the machine gets to finish anything. */
  async cutPower(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#exited;
    this.#show(this.#line);
    this.#line = "";
  }

  #news(timeoutMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, timeoutMs);
      this.#waiting.push(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  #wake(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  #read(text: string): void {
    const plain = stripVTControlCharacters(text).replaceAll("\r", "");
    this.#console += plain;
    const lines = (this.#line + plain).split("\n");
    this.#line = lines.pop() ?? "";
    for (const line of lines) this.#show(line);
    this.#wake();
  }

  #show(line: string): void {
    for (const shown of this.#lines.push(line, performance.now())) tellConsole(shown);
  }
}

/** Whether the processor runs virtual machines by itself. A device node alone does not say so. */
function hasVirtualization(): boolean {
  try {
    accessSync("/dev/kvm", constants.R_OK | constants.W_OK);
    return /^flags\s.*\b(vmx|svm)\b/m.test(readFileSync("/proc/cpuinfo", "utf8"));
  } catch {
    return false;
  }
}

/** How the emulator runs here. */
export const acceleration = hasVirtualization() ? "KVM" : "software emulation";

function bootFrom({ serialNumber }: MachineDisk, bootDisk: string): string {
  return serialNumber === bootDisk ? ",bootindex=1" : "";
}

function listArguments({ serialNumber, uuid, mac, disks, bootDisk, bootUrl, clock }: MachineOptions): string[] {
  const network =
    bootUrl === undefined
      ? ["-nic", "none"]
      : [
          ...["-netdev", `user,id=net,bootfile=${bootUrl}`],
          ...["-device", `virtio-net-pci,netdev=net,mac=${mac},bootindex=2`],
        ];
  return [
    ...["-accel", acceleration === "KVM" ? "kvm" : "tcg", "-m", `${memoryMib}`, "-smp", "1"],
    ...["-nographic", "-monitor", "none", "-serial", "stdio", "-nodefaults"],
    ...["-smbios", `type=1,manufacturer=QEMU,product=bmaas-proof,serial=${serialNumber},uuid=${uuid}`],
    ...["-rtc", `base=${clock ?? "utc"}`],
    ...disks.flatMap((disk, index) => [
      ...["-drive", `file=${disk.file},format=raw,if=none,id=disk${index}`],
      ...["-device", `virtio-blk-pci,drive=disk${index},serial=${disk.serialNumber}${bootFrom(disk, bootDisk)}`],
    ]),
    ...network,
  ];
}
