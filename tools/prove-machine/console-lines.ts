/** Chooses what of a machine's console the transcript shows. */

/** What the kernel, the firmware and iPXE print that proves nothing. */
const noise =
  /^(\[ *\d+\.\d+\]|udhcpc|SeaBIOS|Machine UUID|Press Ctrl-B|iPXE \(|iPXE initialising|Features:|\[Link:|:\/\/ipxe|net0: [f\d]|Next server:|\S+\.ipxe :|Booting from (ROM|Floppy)|Boot failed: could not|P+r+o+b+i+n+g|o*k$)/;

/** Fields of the agent's log that say more than its messages. */
const shownFields = ["percent", "phase", "error", "reason", "hardwareReport", "advice"];

/** A line, and when it began. */
export interface ShownLine {
  readonly text: string;
  readonly atMs: number;
}

/** The lines of one console, one after the other. An entry of the agent's log becomes one line. */
export class ConsoleLines {
  #entry: { text: string; atMs: number } | undefined;
  /** Tens of percent that the last entry about an installation showed. */
  #tens: string | undefined;

  /** Returns what there is to show now that the line has come. */
  push(line: string, atMs: number): ShownLine[] {
    const [, name = "", value = ""] = /^ {4}(\w+): (.*)$/.exec(line) ?? [];
    if (name !== "" && this.#entry !== undefined) {
      if (shownFields.includes(name)) this.#entry.text += `  ${name}: ${value}`;
      return [];
    }
    const shown = this.#finishEntry();
    const [, message] = /^\[\d\d:\d\d:\d\d\.\d+\] (.*)$/.exec(line) ?? [];
    if (message !== undefined) {
      this.#entry = { text: `agent: ${message}`, atMs };
      return shown;
    }
    const text = line.trim();
    if (text === "" || noise.test(text)) return shown;
    // iPXE shows how far it has come by writing over it.
    return [...shown, { text: text.replace(/\.{3}[ \d%\b]+ok/, "... ok"), atMs }];
  }

  /** Of the progress of an installation, one entry for each ten percent says enough. */
  #finishEntry(): ShownLine[] {
    const entry = this.#entry;
    this.#entry = undefined;
    if (entry === undefined) return [];
    const tens = /INFO: installing\b.*percent: (\d*)\d\b/.exec(entry.text)?.[1];
    if (tens !== undefined && tens === this.#tens) return [];
    this.#tens = tens;
    return [entry];
  }
}
