/** What all scenarios share: the server, the web server, and machines with two disks. */
import { createHash, randomUUID } from "node:crypto";
import { closeSync, copyFileSync, openSync, readFileSync, readSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createDiskImage, createNoise, type DiskImage } from "./boot-sector.ts";
import { hostAddress, Machine, type MachineDisk } from "./machine.ts";
import type { Processes } from "./processes.ts";
import type { Server } from "./server.ts";
import { tell } from "./transcript.ts";
import type { WebServer } from "./web-server.ts";

/** What the proof runs with. */
export interface Rack {
  readonly server: Server;
  readonly web: WebServer;
  readonly webPort: number;
  /** Secret of the join token. */
  readonly token: string;
  /** Folder for the disks. */
  readonly folder: string;
  readonly processes: Processes;
}

/** A part of the proof. */
export interface Scenario {
  readonly name: string;
  run(rack: Rack): Promise<void>;
}

const mib = 1024 * 1024;
const [targetBytes, keptBytes, imageBytes] = [64 * mib, 16 * mib, 24 * mib];

/** Limits on what takes long on a busy machine with software emulation, in milliseconds. */
export const limits = { boot: 1_200_000, step: 600_000 };

/** A machine that outlives the emulator: what it is, and its two disks. */
export class RackMachine {
  readonly name: string;
  readonly #rack: Rack;
  readonly #uuid = randomUUID();
  readonly #mac: string;
  readonly #target: MachineDisk;
  readonly #kept: MachineDisk;
  readonly #keptDigest: string;
  #on: Machine | undefined;

  /** Unpacks a machine with an empty disk, and with one that holds somebody's data. `number` is from 1 to 255. */
  constructor(rack: Rack, name: string, number: number) {
    this.name = name;
    this.#rack = rack;
    this.#mac = `52:54:00:be:a5:${number.toString(16).padStart(2, "0")}`;
    this.#target = { serialNumber: `EMPTY-${number}`, file: join(rack.folder, `${name}-empty`) };
    this.#kept = { serialNumber: `KEPT-${number}`, file: join(rack.folder, `${name}-kept`) };
    writeFileSync(this.#target.file, "");
    truncateSync(this.#target.file, targetBytes);
    writeFileSync(this.#kept.file, createNoise(name, keptBytes));
    this.#keptDigest = digestFile(this.#kept.file);
    rack.web.put(`/${name}.ipxe`, { content: Buffer.from(this.#bootScript()) });
  }

  /** Serial number of the disk that is installed onto. */
  get diskSerial(): string {
    return this.#target.serialNumber;
  }

  /** The machine that is switched on. Throws if it is off. */
  get on(): Machine {
    if (this.#on === undefined) throw new Error(`${this.name} is off`);
    return this.#on;
  }

  /** Switches the machine on. `keptFirst` puts the disk with data first, so that each has the other's name. */
  switchOn({ keptFirst = false, clock }: { keptFirst?: boolean; clock?: string } = {}): Machine {
    const disks = [this.#target, this.#kept];
    if (keptFirst) disks.reverse();
    const order = disks.map(({ serialNumber }) => serialNumber).join(", then ");
    tell(`${this.name} is switched on, with the disks ${order}${clock ? `; its clock says ${clock}` : ""}`);
    const bootUrl = `http://${hostAddress}:${this.#rack.webPort}/${this.name}.ipxe`;
    this.#on = new Machine(this.#rack.processes, { ...this.#identity(), disks, bootUrl, ...(clock && { clock }) });
    return this.#on;
  }

  /** Cuts the power. */
  async cutPower(): Promise<void> {
    tell(`the power of ${this.name} is cut`);
    await this.#on?.cutPower();
    this.#on = undefined;
  }

  /** Puts an empty disk in the place of the one that was installed onto. */
  emptyDisk(): void {
    truncateSync(this.#target.file, 0);
    truncateSync(this.#target.file, targetBytes);
    tell(`${this.diskSerial} is emptied`);
  }

  /** Boots copies of the disks on a machine without a network, and makes sure that nothing is on them to boot. */
  async checkNothingBoots(): Promise<void> {
    const disks = [this.#target, this.#kept].map(({ serialNumber, file }) => {
      copyFileSync(file, `${file}-copy`);
      return { serialNumber, file: `${file}-copy` };
    });
    tell("the same disks in a machine without a network:");
    const machine = new Machine(this.#rack.processes, { ...this.#identity(), disks, bootUrl: undefined });
    try {
      await machine.see("No bootable device", limits.step);
    } finally {
      await machine.cutPower();
    }
  }

  /** Makes sure that the other disk has every byte that it had. */
  checkKept(): void {
    const digest = digestFile(this.#kept.file);
    if (digest !== this.#keptDigest) throw new Error(`${this.#kept.serialNumber} was changed`);
    tell(`${this.#kept.serialNumber} is byte for byte what it was: sha256:${digest.slice(0, 16)}…`);
  }

  /** Makes sure that the disk begins with all of the image. */
  checkInstalled({ bytes }: DiskImage): void {
    if (!this.#readTarget(bytes.length).equals(bytes)) throw new Error(`${this.diskSerial} does not have the image`);
    tell(`${this.diskSerial} has every byte of the image`);
  }

  /** Makes sure that a part of the image is on the disk, and not all of it. */
  checkHalfWritten({ bytes }: DiskImage): void {
    const found = this.#readTarget(bytes.length);
    const isThere = (start: number) => found.subarray(start, start + mib).equals(bytes.subarray(start, start + mib));
    const written = Array.from({ length: bytes.length / mib }, (_, index) => index).filter((at) => isThere(at * mib));
    if (written.length === 0 || written.length === bytes.length / mib) throw new Error("the disk is not half written");
    tell(`${written.length} of ${bytes.length / mib} MiB of the image are on ${this.diskSerial}`);
  }

  #readTarget(sizeBytes: number): Buffer {
    const file = openSync(this.#target.file, "r");
    const found = Buffer.alloc(sizeBytes);
    readSync(file, found, 0, sizeBytes, 0);
    closeSync(file);
    return found;
  }

  #identity() {
    const bootDisk = this.#target.serialNumber;
    return { serialNumber: this.#systemSerial, uuid: this.#uuid, mac: this.#mac, bootDisk };
  }

  get #systemSerial(): string {
    return `PROOF-${this.name.toUpperCase()}`;
  }

  /**
   * iPXE's script. The kernel is quiet, so that its console does not show the token. It does not check the timer's
   * interrupts, since an emulator on a busy machine delivers them too late for that, and does without protections that
   * cost an emulator most.
   */
  #bootScript(): string {
    const { server, webPort, token } = this.#rack;
    const web = `http://${hostAddress}:${webPort}`;
    const ca = `${web}/ca.pem#sha256:${digestFile(server.caFile)}`;
    return [
      "#!ipxe",
      `kernel ${web}/vmlinuz initrd=initramfs.zst console=ttyS0 quiet no_timer_check mitigations=off bmaas.endpoint=${server.endpoint} bmaas.ca=${ca} bmaas.token=${token}`,
      `initrd ${web}/initramfs.zst`,
      "boot\n",
    ].join("\n");
  }

  /**
   * Waits until the agent asks to be let in, and approves it: onto a new machine, or onto a known one, with the flags
   * that this takes.
   */
  async letIn(machineId?: string, ...flags: readonly string[]): Promise<string> {
    const { server } = this.#rack;
    // Each question costs processor time that the emulator lacks, so it is asked once there is an answer.
    await this.on.see("waiting for an operator", limits.boot);
    const waiting = await server.await(`an enrolment of ${this.name}`, limits.step, async () => {
      const { enrolments = [] } = JSON.parse(await server.read(["enrolments", "list", "--json"])) as {
        enrolments?: { id: string; serialNumber?: string }[];
      };
      return enrolments.find(({ serialNumber }) => serialNumber === this.#systemSerial);
    });
    await server.type(["enrolments", "list"]);
    const onto = machineId === undefined ? [] : ["--machine", machineId, "--replace-key", ...flags];
    await server.type(["enrolments", "approve", waiting.id, ...onto]);
    const approved = JSON.parse(await server.read(["enrolments", "show", waiting.id, "--json"])) as {
      enrolment: { machineId: string };
    };
    return approved.enrolment.machineId;
  }

  /** Waits until the server knows the machine's disks, and shows them. */
  async awaitDisks(machineId: string): Promise<void> {
    const { server } = this.#rack;
    await server.await(`the hardware of ${this.name}`, limits.step, async () => {
      const answer = await server.read(["hardware", machineId, "--json"]).catch(() => "");
      return answer.includes(this.diskSerial) ? true : undefined;
    });
    await server.type(["hardware", machineId]);
  }
}

/** Makes an image whose boot sector prints the line, and serves it. `bytesPerSecond` makes its server slow. */
export function serveImage(
  rack: Rack,
  name: string,
  bytesPerSecond?: number,
): DiskImage & { url: string; line: string } {
  const line = `*** ${name}: booted from the disk that bmaas has installed ***`;
  const image = createDiskImage(line, imageBytes);
  rack.web.put(`/${name}.img`, { content: image.bytes, ...(bytesPerSecond && { bytesPerSecond }) });
  return { ...image, line, url: `http://${hostAddress}:${rack.webPort}/${name}.img` };
}

function digestFile(file: string): string {
  return createHash("sha256").update(readFileSync(file)).digest("hex");
}
