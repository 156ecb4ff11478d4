/** The maker, name and serial number of the machine. */
import { system } from "systeminformation";
import { toText } from "./fields.ts";
import { findText, type SystemFiles } from "./sysfs.ts";

/** Reads SMBIOS by way of the kernel where it lets us, and by systeminformation elsewhere. */
export async function readSystem({ sys }: SystemFiles) {
  const dmi = (name: string) => findText(sys, "class/dmi/id", name);
  const [vendor, product, serial] = await Promise.all([dmi("sys_vendor"), dmi("product_name"), dmi("product_serial")]);
  const known = vendor !== undefined && product !== undefined && serial !== undefined;
  const fallback = known ? undefined : await system();
  return {
    manufacturer: toText(vendor ?? fallback?.manufacturer),
    product: toText(product ?? fallback?.model),
    serialNumber: toText(serial ?? fallback?.serial),
  };
}
