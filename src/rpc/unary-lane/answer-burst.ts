/**
 * Sends the answers of one turn of the event loop together, after everything that had arrived has been processed. Node
 * does the same with HTTP/2 frames.
 *
 * Sent one by one, between the work on other calls, each answer would find its reader asleep, for example a proxy on
 * the same machine, and waking it costs the system more than the call itself. A reader that finds more answers does not
 * go to sleep.
 */

/** An answer that is ready to be sent. `send` never throws. */
export interface ReadyAnswer {
  send(): void;
}

/** Number of ready answers that are sent before the turn ends, so that no answer waits for thousands of others. */
const longestBurst = 64;

let ready: ReadyAnswer[] = [];

/** Schedules an answer to be sent at the end of the turn at the latest. */
export function sendAtTurnEnd(answer: ReadyAnswer): void {
  const count = ready.push(answer);
  if (count === 1) setImmediate(sendReadyAnswers);
  else if (count === longestBurst) sendReadyAnswers();
}

/** Sends all ready answers now. Call it before work that occupies the processor for long. */
export function sendReadyAnswers(): void {
  const answers = ready;
  ready = [];
  for (const answer of answers) answer.send();
}
