/**
 * Sends the answers of one turn of the event loop one right after the other, once everything that had arrived has been looked at; Node
 * does the same for the frames of HTTP/2.
 *
 * Sent one by one, between the work on other calls, each answer finds its reader asleep, a proxy on the same machine for example, and to
 * wake somebody costs the system more than the call itself. A reader that finds more answers does not go to sleep.
 */

/** What sends one answer; never throws. */
export interface ReadyAnswer {
  send(): void;
}

/** As many are sent before the turn ends: no reader has slept meanwhile, and none is to wait for thousands of others. */
const longestBurst = 64;

let ready: ReadyAnswer[] = [];

/** Has the answer sent at the end of the turn, at the latest. */
export function sendAtTurnEnd(answer: ReadyAnswer): void {
  const count = ready.push(answer);
  if (count === 1) setImmediate(sendReadyAnswers);
  else if (count === longestBurst) sendReadyAnswers();
}

/** Sends what is ready now: who is about to keep the processor for long lets the answers go first. */
export function sendReadyAnswers(): void {
  const answers = ready;
  ready = [];
  for (const answer of answers) answer.send();
}
