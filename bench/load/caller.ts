/** Somebody who makes one call at a time, and tells who listens when it is answered. */
export interface Caller {
  /** Is told of each answer, and whether it was a heartbeat's. */
  onAnswer: (isGood: boolean) => void;
  /** Makes a call, unless there is nothing more to say, which it returns. The call before has been answered. */
  call(): boolean;
  /** False once the connection is gone. */
  readonly isOpen: boolean;
  /** When it last called, by performance.now(). */
  readonly calledAtMs: number;
  close(): void;
}
