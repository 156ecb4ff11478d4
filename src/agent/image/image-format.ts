/** Distinguishes raw disk images from other files that people mistake for one. */

/** The image is not a raw disk image. */
class ImageFormatError extends Error {
  override readonly name = "ImageFormatError";
}

interface Format {
  /** What the image is, as the end of "the image is …". */
  readonly name: string;
  /** Bytes that begin at `at`, as hexadecimal digits or text. */
  readonly magic: string | RegExp;
  readonly at?: number;
}

const convert = "convert it with: qemu-img convert -O raw";
const compressedTwice = "unpack it once, the agent unpacks one compression only";

/** Formats that may have a boot sector of their own, so they are looked for first. */
const disguised: readonly Format[] = [
  { name: "a qcow2 image", magic: "514649fb" },
  { name: "a VMDK image", magic: "4b444d56" },
  { name: "a VMDK image", magic: "434f5744" },
  { name: "a VMDK descriptor", magic: /^# Disk DescriptorFile/ },
  { name: "a VHDX image", magic: "7668647866696c65" },
  { name: "a VHD image", magic: "636f6e6563746978" },
  { name: "a VDI image", magic: "7f10dabe", at: 64 },
  { name: "a QED image", magic: "51454400" },
  { name: "a Parallels image", magic: /^WithoutFreeSpace|^WithouFreSpacExt/ },
  { name: "an Android sparse image", magic: "3aff26ed" },
  { name: "a Windows image (WIM)", magic: "4d5357494d000000" },
];

/** What an image without boot sector and partition table may be. */
const others: readonly Format[] = [
  { name: "an HTML page", magic: /^\s*(?:<!--[\s\S]*?-->\s*)?<(?:!doctype html|html|head|body)/i },
  { name: "XML", magic: /^\s*<\?xml/ },
  { name: "JSON", magic: /^\s*[{[]\s*["{[]/ },
  { name: "a shell script", magic: /^#!/ },
  { name: "cloud-init user data", magic: /^#cloud-config/ },
  { name: `compressed by gzip inside: ${compressedTwice}`, magic: "1f8b08" },
  { name: `compressed by zstd inside: ${compressedTwice}`, magic: "28b52ffd" },
  { name: `compressed by xz inside: ${compressedTwice}`, magic: "fd377a585a00" },
  { name: "compressed by bzip2: compress it with zstd", magic: /^BZh[1-9]/ },
  { name: "compressed by lz4: compress it with zstd", magic: "04224d18" },
  { name: "compressed by lzip: compress it with zstd", magic: "4c5a4950" },
  { name: "a ZIP archive", magic: "504b0304" },
  { name: "a 7z archive", magic: "377abcaf271c" },
  { name: "a tar archive", magic: "7573746172", at: 257 },
  { name: "a cpio archive, such as an initramfs", magic: /^07070[12]/ },
  { name: "a Debian package", magic: /^!<arch>/ },
  { name: "an ELF program or kernel", magic: "7f454c46" },
  { name: "a squashfs file system", magic: "68737173" },
  { name: "an ext2, ext3 or ext4 file system", magic: "53ef", at: 1080 },
  { name: "an XFS file system", magic: "58465342" },
  { name: "a btrfs file system", magic: "5f42485266535f4d", at: 65600 },
  { name: "a LUKS volume", magic: "4c554b53babe" },
  { name: "an LVM physical volume", magic: "4c4142454c4f4e45", at: 512 },
  { name: "swap space", magic: "53574150535041434532", at: 4086 },
  { name: "an ISO image without a partition table", magic: "4344303031", at: 32769 },
];

/** Formats that must be converted rather than replaced. */
const convertible = /^an? (?:qcow2|VMDK|VHDX?|VDI|QED|Parallels) image$/;

/**
 * Throws ImageFormatError, which names what the image is, unless it is a raw disk image: one with a boot sector.
 * `head` is its beginning, at least 66 KiB of it unless it is shorter. `hasPartitions` says whether its partition table
 * has entries.
 */
export function checkRawImage(head: Buffer, hasPartitions: boolean): void {
  const known = disguised.find((format) => matches(format, head));
  if (known !== undefined) {
    const advice = convertible.test(known.name) ? `: ${convert}` : "";
    throw new ImageFormatError(`the image is not a raw disk image but ${known.name}${advice}`);
  }
  // Kernels with an EFI stub have the signature of a boot sector.
  const isProgram = head.subarray(0, 2).toString("latin1") === "MZ" && !hasPartitions;
  if (isProgram) throw new ImageFormatError("the image is not a raw disk image but a kernel or an EFI program");
  const isIso = head.subarray(32769, 32774).toString("latin1") === "CD001";
  if (hasBootSignature(head) && (hasPartitions || !isIso)) return;
  if (head.length === 0) throw new ImageFormatError("the image is not a raw disk image: it is empty");
  const found = others.find((format) => matches(format, head));
  throw new ImageFormatError(
    `the image is not a raw disk image: it has ${
      isIso ? "no partition table" : "neither a boot sector nor a partition table"
    }${found === undefined ? "" : `; it is ${found.name}`}`,
  );
}

/** Returns whether the image begins with a boot sector: a master boot record, or the protective one of a GPT. */
export function hasBootSignature(head: Buffer): boolean {
  return head.length >= 512 && head.readUInt16LE(510) === 0xaa55;
}

function matches({ magic, at = 0 }: Format, head: Buffer): boolean {
  if (magic instanceof RegExp) return magic.test(head.subarray(at, at + 1024).toString("latin1"));
  return head.subarray(at, at + magic.length / 2).toString("hex") === magic;
}
