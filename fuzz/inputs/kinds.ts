/** All kinds of input, and how often each is drawn. */
import type { Talk } from "../talk.ts";
import { sendDamagedRequests, sendRequests, sendRequestsSlowly } from "./http1.ts";
import { sendFrames, sendFramesSlowly } from "./http2-frames.ts";
import { callOnStreams } from "./http2-streams.ts";
import { callAfterRefusal } from "./late-body.ts";
import { sendNoise } from "./noise.ts";
import { shakeHandsLate, shakeHandsOddly } from "./tls-handshakes.ts";

/** One kind of input. */
export interface InputKind {
  readonly name: string;
  readonly weight: number;
  /** Takes seconds, most of which it waits. */
  readonly isSlow: boolean;
  /** Throws ViolationError. */
  readonly run: (talk: Talk) => Promise<void>;
}

/** Weights are shares in 1,000. */
export const inputKinds: readonly InputKind[] = [
  { name: "HTTP/1.1 requests", weight: 330, isSlow: false, run: sendRequests },
  { name: "HTTP/1.1, damaged", weight: 187, isSlow: false, run: sendDamagedRequests },
  { name: "HTTP/2 streams", weight: 150, isSlow: false, run: callOnStreams },
  { name: "HTTP/2 frames", weight: 230, isSlow: false, run: sendFrames },
  { name: "noise", weight: 50, isSlow: false, run: sendNoise },
  { name: "TLS handshakes", weight: 30, isSlow: false, run: shakeHandsOddly },
  { name: "calls after a refused one", weight: 10, isSlow: true, run: callAfterRefusal },
  { name: "HTTP/1.1, slowly", weight: 6, isSlow: true, run: sendRequestsSlowly },
  { name: "HTTP/2, slowly", weight: 4, isSlow: true, run: sendFramesSlowly },
  { name: "TLS handshakes, late", weight: 3, isSlow: true, run: shakeHandsLate },
];
