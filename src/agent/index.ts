/**
 * The client library for agents on Node: keys, both proofs of identity, typed clients, and the parts of a complete
 * agent.
 */
export { type AgentClientOptions, createAgentClient, createEnrolmentClient } from "./agent-client.ts";
export type { AgentEvent } from "./agent-event.ts";
export { runAgent } from "./agent-loop.ts";
export type { AgentOptions } from "./agent-options.ts";
export * from "./browser.ts";
export { type ClientCertificate, createClientCertificate } from "./client-certificate.ts";
export { type EnrolmentEvent, type EnrolmentOptions, enrolAgent } from "./enrol-agent.ts";
export { createFileDiskFinder, readFileDisk, replaceDisks } from "./hardware/file-disk.ts";
export { DiskMismatchError, type FindDisk, type FoundDisk, findExpectedDisk } from "./hardware/find-disk.ts";
export { collectHardwareReport, type HardwareReportOptions } from "./hardware-report.ts";
export { createHealthCommand, type HealthCommandOptions } from "./health-command.ts";
export type { CollectHealth } from "./health-feed.ts";
export { createImageInstaller, type ImageInstallerOptions } from "./image/image-installer.ts";
export type { InstallProgress } from "./install-progress.ts";
export {
  type DueAfterInstall,
  type InstallOutcome,
  InstallState,
  openInstallState,
} from "./install-state.ts";
export {
  type CommandInstallerOptions,
  createCommandInstaller,
  createPretendingInstaller,
  findDevicePath,
  type Installer,
} from "./installer.ts";
export { AgentKeyExistsError, AgentKeyFileError, type LoadedAgentKey, loadAgentKey, saveAgentKey } from "./key-file.ts";
export { createNodeFetch } from "./node-fetch.ts";
export { runShellCommand, type ShellCommandOptions } from "./shell-command.ts";
export { InstallStateError, OtherMachineStateError } from "./state-file.ts";
