/** The machine's hardware as its agent last reported it, with what changed between two reports marked. */
import { type HardwareDifference, type HardwareReport, HardwareService } from "@api/hardware_service_pb.js";
import { useQuery } from "@connectrpc/connect-query";
import { CopyableCommand } from "../../ui/copy.tsx";
import { QueryError } from "../../ui/error-note.tsx";
import { formatBytes, formatCount, formatHex } from "../../ui/format.ts";
import { Badge } from "../../ui/machine-state.tsx";
import { SafeText } from "../../ui/safe-text.tsx";
import { Time } from "../../ui/time.tsx";

/** How many differences of a report are listed before somebody asks for more. */
const maxShown = 30;

type Node = NonNullable<NonNullable<HardwareReport["report"]>["report"]>;
type Disk = Node["blockDevice"][number];
type NetworkInterface = Node["networkInterface"][number];

/** Shows the newest report, and the changes of the reports that are kept. */
export function HardwarePanel({ machineId }: { readonly machineId: string }) {
  const query = useQuery(HardwareService.method.listHardwareReports, { machineId });
  const reports = query.data?.reports ?? [];
  const [newest] = reports;
  const changed = reports.filter(({ differences }) => differences.length > 0);
  return (
    <section className="card wide" id="hardware" tabIndex={-1} aria-labelledby="hardware-title">
      <h2 id="hardware-title">Hardware</h2>
      <QueryError query={query} />
      {query.isSuccess && newest === undefined && <p className="quiet">The agent has not reported its hardware yet.</p>}
      {newest !== undefined && <Report report={newest} />}
      {changed.length > 0 && <h3>What changed</h3>}
      {changed.map((report, index) => (
        <details key={report.reportTime?.seconds.toString() ?? index} open={report === newest}>
          <summary>
            <Time at={report.reportTime} />: {formatCount(report.differences.length)}{" "}
            {report.differences.length === 1 ? "difference" : "differences"}
          </summary>
          <Differences differences={report.differences} />
        </details>
      ))}
      <CopyableCommand command={`bmaas hardware ${machineId} --diff`} />
    </section>
  );
}

function Report({ report: { report, reportTime, differences } }: { readonly report: HardwareReport }) {
  const node = report?.report;
  return (
    <>
      <p className="quiet">
        Reported <Time at={reportTime} as="age" />.
      </p>
      {report === undefined && <p>The report cannot be decoded.</p>}
      {(report?.warning.length ?? 0) > 0 && (
        <ul>
          {report?.warning.map((warning, index) => (
            // biome-ignore lint/suspicious/noArrayIndexKey: warnings have nothing else to tell them apart.
            <li key={index}>
              <Badge tone="warn">warning</Badge> <SafeText text={warning} />
            </li>
          ))}
        </ul>
      )}
      {node !== undefined && (
        <>
          <SystemFacts node={node} differences={differences} />
          <Disks disks={node.blockDevice} differences={differences} />
          <Interfaces interfaces={node.networkInterface} differences={differences} />
        </>
      )}
    </>
  );
}

/** Returns whether one of the differences is of the field, or of something in it. */
function isChanged(differences: readonly HardwareDifference[], names: readonly string[]): boolean {
  return differences.some(({ path }) => names.some((name) => name !== "" && path.includes(name)));
}

function ChangedMark({ is }: { readonly is: boolean }) {
  return is ? <Badge tone="warn">changed</Badge> : null;
}

interface PartProps {
  readonly differences: readonly HardwareDifference[];
}

function SystemFacts({ node, differences }: PartProps & { readonly node: Node }) {
  const memory = node.memoryInstalledBytes > 0n ? formatBytes(node.memoryInstalledBytes, "binary") : "unknown";
  const cpus = node.cpu.map(
    ({ model, vendor, cores, hardwareThreads }) =>
      `${model || vendor || "unknown"}: ${formatCount(cores)} cores, ${formatCount(hardwareThreads)} threads`,
  );
  const facts: readonly (readonly [name: string, text: string, field: string])[] = [
    ["System", [node.manufacturer, node.product, node.productVersion].filter(Boolean).join(" "), ".product"],
    ["Serial number", node.serialNumber, "report.serial_number"],
    ["System UUID", node.systemUuid, ".system_uuid"],
    ["Board's serial", node.boardSerialNumber, ".board_serial_number"],
    ["Chassis's serial", node.chassisSerialNumber, ".chassis_serial_number"],
    ["BIOS", node.biosVersion, ".bios_version"],
    ["BMC", node.bmcVersion, ".bmc_version"],
    ["Memory", memory, ".memory_"],
    ["Processors", cpus.join("; "), ".cpu"],
  ];
  return (
    <dl>
      {facts
        .filter(([, text]) => text !== "")
        .map(([name, text, field]) => (
          <div key={name} className="key-row">
            <dt>{name}</dt>
            <dd>
              <SafeText text={text} /> <ChangedMark is={isChanged(differences, [field])} />
            </dd>
          </div>
        ))}
    </dl>
  );
}

function Disks({ disks, differences }: PartProps & { readonly disks: readonly Disk[] }) {
  if (disks.length === 0) return null;
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by the keyboard.
    <section className="scrolls" aria-label="Disks" tabIndex={0}>
      <table className="data-table">
        <thead>
          <tr>
            {["Disk", "Model", "Capacity", "Serial number", "In use", "Health"].map((name) => (
              <th key={name} scope="col">
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {disks.map((disk, index) => (
            // biome-ignore lint/suspicious/noArrayIndexKey: agents may report disks that nothing tells apart.
            <tr key={index}>
              <td>
                <SafeText text={disk.kernelName || "–"} limit={40} />{" "}
                <ChangedMark is={isChanged(differences, namesOfDisk(disk))} />
              </td>
              <td>
                <SafeText text={[disk.vendor, disk.deviceModel].filter(Boolean).join(" ")} limit={60} />
              </td>
              <td className="number">{disk.capacityBytes > 0n ? formatBytes(disk.capacityBytes) : "unknown"}</td>
              <td>
                <SafeText text={disk.serialNumber} limit={60} />
              </td>
              <td>
                <SafeText text={disk.use.join("; ")} limit={60} />
              </td>
              <td>{disk.criticalWarning ? <Badge tone="bad">failing</Badge> : ""}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

/** Returns what a path of a difference may call the disk. */
function namesOfDisk({ serialNumber, wwn, kernelName }: Disk): string[] {
  const hex = formatHex(wwn);
  return [serialNumber, hex, hex && `0x${hex}`, kernelName].filter(Boolean).map((name) => `block_device[${name}]`);
}

function Interfaces({ interfaces, differences }: PartProps & { readonly interfaces: readonly NetworkInterface[] }) {
  if (interfaces.length === 0) return null;
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by the keyboard.
    <section className="scrolls" aria-label="Network interfaces" tabIndex={0}>
      <table className="data-table">
        <thead>
          <tr>
            {["Interface", "Address", "Driver", "Link"].map((name) => (
              <th key={name} scope="col">
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {interfaces.map((each, index) => {
            const address = formatHex(each.mac.length > 0 ? each.mac : each.longAddress, ":");
            return (
              // biome-ignore lint/suspicious/noArrayIndexKey: agents may report interfaces that nothing tells apart.
              <tr key={index}>
                <td>
                  <SafeText text={each.name || "–"} limit={40} />{" "}
                  <ChangedMark is={isChanged(differences, [address && `network_interface[${address}]`])} />
                </td>
                <td>
                  <code>{address}</code>
                </td>
                <td>
                  <SafeText text={each.driver} limit={40} />
                </td>
                <td>
                  <Badge tone={each.linkUp ? "good" : "calm"}>{each.linkUp ? "up" : "down"}</Badge>
                </td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </section>
  );
}

function Differences({ differences }: PartProps) {
  return (
    <ul className="differences">
      {differences.slice(0, maxShown).map(({ path, oldValue, newValue }, index) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: two differences may be the same in every word.
        <li key={index}>
          <Badge tone={oldValue === "" ? "good" : newValue === "" ? "bad" : "warn"}>
            {oldValue === "" ? "added" : newValue === "" ? "removed" : "changed"}
          </Badge>{" "}
          <code>
            <SafeText text={path || "and more"} limit={160} />
          </code>{" "}
          {oldValue !== "" && (
            <del>
              <SafeText text={oldValue} limit={120} />
            </del>
          )}{" "}
          {newValue !== "" && (
            <ins>
              <SafeText text={newValue} limit={120} />
            </ins>
          )}
        </li>
      ))}
      {differences.length > maxShown && <li>and {formatCount(differences.length - maxShown)} more</li>}
    </ul>
  );
}
