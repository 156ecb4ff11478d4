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

let ready: ReadyAnswer[] = [];

/** Has the answer sent at the end of the turn. */
export function sendAtTurnEnd(answer: ReadyAnswer): void {
  if (ready.push(answer) === 1) setImmediate(sendReadyAnswers);
}

/** Sends what is ready now: who is about to keep the processor for long lets the answers go first. */
export function sendReadyAnswers(): void {
  const answers = ready;
  ready = [];
  for (const answer of answers) answer.send();
}
