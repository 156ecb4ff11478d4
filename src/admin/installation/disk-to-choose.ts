/** Converts the disk that operators name in calls to the disk that is chosen from the machine's hardware report. */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { DiskSelectorSchema, type DiskSelector as NamedDisk } from "../../../gen/bmaas/admin/v1/installation_pb.js";
import type { BlockDevice_Protocol as Protocol } from "../../../gen/cloud/agent/api/hwreport_pb.js";
import { chooseDisk } from "../../contract/choose-disk.ts";
import {
  checkDiskSelector,
  type DiskSelector,
  diskProtocols,
  formatDiskSelector,
  type ProtocolName,
  parseDiskPath,
  parseDiskSelector,
  parseDiskText,
  parseDiskWwn,
} from "../../contract/disk-selector.ts";
import { InvalidFieldError } from "../../contract/installation-rules.ts";
import type { DiskToChoose } from "../../db/queries/disk-choice.ts";
import type { InstallationRow } from "../../db/queries/installation-overview.ts";
import type { Violations } from "../violations.ts";

/** Returns the disk to choose for a machine. */
export function toDiskToChoose(question: Parameters<typeof chooseDisk>[0]): DiskToChoose {
  return { selector: formatDiskSelector(question.selector), choose: (newest) => chooseDisk(question, newest) };
}

/**
 * Returns the selector of an earlier request, to choose its disk anew; undefined if that named its disk without regard
 * to a hardware report.
 */
export function findSelector({ diskSelector }: Pick<InstallationRow, "diskSelector">): DiskSelector | undefined {
  return diskSelector === null ? undefined : parseDiskSelector(diskSelector);
}

/** Reads a selector, and adds the mistakes in it. `field` is its path in the call. */
export function readSelector(named: NamedDisk, field: string, violations: Violations): DiskSelector {
  const read = <T>(name: string, text: string, parse: (text: string) => T): T | undefined => {
    if (text === "") return undefined;
    let value: T | undefined;
    violations.check(`${field}.${name}`, () => {
      value = parse(text);
    });
    return value;
  };
  const { serialNumber, wwn, path, model, minBytes, maxBytes, rotational, protocol, choice } = named;
  violations.check(`${field}.${choice.case}`, () => {
    if (choice.value === false) throw new InvalidFieldError("is false; leave it out, or set it to true");
  });
  const given = {
    serialNumber: read("serial_number", serialNumber, parseDiskText),
    wwn: read("wwn", wwn, parseDiskWwn),
    path: read("path", path, parseDiskPath),
    model: read("model", model, parseDiskText),
    minBytes: minBytes === 0n ? undefined : minBytes,
    maxBytes: maxBytes === 0n ? undefined : maxBytes,
    rotational,
    protocol: nameProtocol(protocol),
    pick: choice.case,
  };
  const selector = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
  violations.check(field, () => checkDiskSelector(selector));
  return selector;
}

/** Converts a selector to the message in which operators name a disk; undefined for one by the kernel's name alone. */
export function toNamedDisk(selector: DiskSelector): NamedDisk | undefined {
  const { pick, protocol, wwn, kernelName: _, ...rest } = selector;
  if (Object.keys(selector).every((key) => key === "kernelName")) return undefined;
  return create(DiskSelectorSchema, {
    ...rest,
    ...(wwn !== undefined && { wwn: `0x${wwn}` }),
    ...(protocol !== undefined && { protocol: diskProtocols[protocol] }),
    ...(pick !== undefined && { choice: { case: pick, value: true } }),
  } as MessageInitShape<typeof DiskSelectorSchema>);
}

function nameProtocol(protocol: Protocol): ProtocolName | undefined {
  const names = Object.keys(diskProtocols) as ProtocolName[];
  return names.find((name) => diskProtocols[name] === protocol);
}
