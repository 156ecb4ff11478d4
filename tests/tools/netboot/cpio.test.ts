import { execFileSync, spawnSync } from "node:child_process";
import { describe, expect, test } from "vitest";
import { type ArchiveEntry, writeArchive } from "../../../tools/netboot/cpio.ts";

const entries: readonly ArchiveEntry[] = [
  { path: "usr/bin/tool", content: { type: "file", bytes: Buffer.from("#!/bin/sh\n"), isExecutable: true } },
  { path: "etc/a.conf", content: { type: "file", bytes: Buffer.from("abc") } },
  { path: "init", content: { type: "link", target: "usr/bin/tool" } },
  { path: "dev", content: { type: "folder" } },
];
const write = (from: readonly ArchiveEntry[], modifiedAt = 0) => Buffer.concat([...writeArchive(from, modifiedAt)]);
const hasCpio = spawnSync("cpio", ["--version"]).status === 0;

describe("the archive of an initramfs", () => {
  test("has the header that the kernel documents", () => {
    const archive = write([{ path: "a", content: { type: "file", bytes: Buffer.from("xyz") } }], 0x5f000000).toString(
      "latin1",
    );
    const record = [
      "070701",
      ...["00000001", "000081a4", "00000000", "00000000", "00000001", "5f000000", "00000003"],
      ...["00000000", "00000000", "00000000", "00000000", "00000002", "00000000"],
    ];
    expect(archive.slice(0, 116)).toBe(`${record.join("")}a\0xyz\0`);
    expect(archive.slice(116, 122)).toBe("070701");
    expect(archive.slice(116 + 110)).toMatch(/^TRAILER!!!\0+$/);
    expect(archive.length % 512).toBe(0);
  });

  test("has the same bytes in whatever order the entries are given", () => {
    expect(write(entries.toReversed())).toEqual(write(entries));
  });

  test("has folders before what they hold", () => {
    const names = [
      ...write(entries)
        .toString("latin1")
        .matchAll(/070701[0-9a-f]{104}([^\0]+)\0/g),
    ].map(([, name]) => name);
    expect(names).toEqual(["dev", "etc", "etc/a.conf", "init", "usr", "usr/bin", "usr/bin/tool", "TRAILER!!!"]);
  });

  test("refuses two entries with one path", () => {
    expect(() => write([...entries, { path: "dev", content: { type: "folder" } }])).toThrow(
      "two entries with the path dev",
    );
  });

  test.skipIf(!hasCpio)("is read by cpio (skipped where that is not installed)", () => {
    const listing = execFileSync("cpio", ["--list", "--verbose", "--numeric-uid-gid", "--quiet"], {
      input: write(entries),
      encoding: "utf8",
      env: { ...process.env, TZ: "UTC" },
    });
    const rows = listing
      .trim()
      .split("\n")
      .map((line) => line.split(/\s+/));
    expect(rows.map(([mode, , user, group, size, , , , ...name]) => [mode, user, group, size, name.join(" ")])).toEqual(
      [
        ["drwxr-xr-x", "0", "0", "0", "dev"],
        ["drwxr-xr-x", "0", "0", "0", "etc"],
        ["-rw-r--r--", "0", "0", "3", "etc/a.conf"],
        ["lrwxrwxrwx", "0", "0", "12", "init -> usr/bin/tool"],
        ["drwxr-xr-x", "0", "0", "0", "usr"],
        ["drwxr-xr-x", "0", "0", "0", "usr/bin"],
        ["-rwxr-xr-x", "0", "0", "10", "usr/bin/tool"],
      ],
    );
  });
});
