/** The line that is redrawn while a command waits fits on the terminal, and says what is going on. */
import { expect, test } from "vitest";
import { drawStatusLine } from "../../src/cli/status-line.ts";

function drawn(columns: number, share: number): string {
  let text = "";
  const write = (chunk: string | Uint8Array) => {
    text += chunk;
    return true;
  };
  drawStatusLine({ columns, write }, share, "installing: writing the image  5 s");
  return text;
}

test.each([
  [100, 0.5, "[============>           ]  50 %  installing: writing the image  5 s"],
  [80, 0.29, "[=======>                ]  29 %  installing: writing the image  5 s"],
  [80, 1, "[========================] 100 %  installing: writing the image  5 s"],
  [40, 0.5, "[====>   ]  50 %  installing: writing t"],
  [10, 0, "[>       "],
])("of %i columns, at %d", (columns, share, line) => {
  expect(drawn(columns, share)).toBe(`\r\u001b[K${line}`);
});
