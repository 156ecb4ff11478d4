/** The Enrol call: it stores what an agent without a machine says about itself, and answers whether it is let in. */
import { create } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, type HandlerContext } from "@connectrpc/connect";
import type { Logger } from "pino";
import {
  type EnrolRequest,
  type EnrolResponse,
  EnrolResponseSchema,
} from "../../../gen/bmaas/agent/v1/enrolment_service_pb.js";
import { Turnstile } from "../../base/turnstile.ts";
import type { Database } from "../../db/client.ts";
import { type EnrolmentOutcome, enrol } from "../../db/queries/enrolment.ts";
import type { ExpectedPolicy, Reenrolment } from "../../db/queries/enrolment-admission.ts";
import { transact } from "../../db/transact.ts";
import { defaultRetryAfterSeconds } from "../../rpc/calls/error-mapping.ts";
import { finishInTime, type Patience, patienceOf, waitEndKey } from "../call-patience.ts";
import {
  IdentityRefusedError,
  type KeyIdentity,
  keyIdentityKey,
  type LogRefusal,
  unknownIdentityMessage,
} from "../identity/agent-identity.ts";
import type { Pacer } from "../pacing.ts";
import { getOverloadedError } from "../queues/overloaded-error.ts";
import { type EnrolmentObserver, observeEnrolmentFailure } from "./enrolment-observer.ts";
import { toEnrolmentWish } from "./validate-enrolment.ts";

/** Options of `createEnrol`. */
export interface EnrolOptions {
  readonly db: Database;
  /** What becomes of a known machine whose agent asks with another key. */
  readonly reenrolment: Reenrolment;
  /** What becomes of an agent without a join token whose machine is expected. */
  readonly expected: ExpectedPolicy;
  readonly pacer: Pick<Pacer, "pace">;
  readonly observer: EnrolmentObserver;
  readonly logRefusal: LogRefusal;
  readonly log: Logger;
}

/** Maximum number of enrolments that wait for the database. */
const maxWaiting = 500;
/** How much longer than others a rejected agent is asked to wait, as a factor. */
const rejectedFactor = 10;

/** Reason that a rejected agent gets, which reveals nothing of the fleet. */
const rejectedReason = "this server does not accept the agent; ask those who run it";

/** Creates the handler of EnrolmentService.Enrol. Its errors are those that enrolment_service.proto lists. */
export function createEnrol({ db, reenrolment, expected, pacer, observer, logRefusal, log }: EnrolOptions) {
  const takeTurn = createTurns();
  return async (request: EnrolRequest, { values }: HandlerContext): Promise<EnrolResponse> => {
    const identity = values.get(keyIdentityKey);
    try {
      if (identity === undefined) throw new ConnectError("no identity was established for this call", Code.Internal);
      const wish = toEnrolmentWish(request, identity);
      const joinToken = request.joinToken === "" ? undefined : request.joinToken;
      const outcome = await finishInTime(values.get(waitEndKey), (patience) =>
        takeTurn(patienceOf(values, patience), () =>
          transact(db, (tx) => enrol(tx, wish, { joinToken, reenrolment, expected })),
        ),
      );
      return answer(outcome, identity);
    } catch (error) {
      observeEnrolmentFailure(observer, error);
      if (error instanceof IdentityRefusedError) logRefusal(error, identity?.remoteAddress);
      throw error;
    }
  };

  function answer(outcome: EnrolmentOutcome, identity: KeyIdentity): EnrolResponse {
    const { publicKey } = identity;
    const { kind } = outcome;
    if (kind === "replayed") {
      const message = "the signature's nonce is not greater than the last one accepted: sign every request anew";
      throw new IdentityRefusedError("replayed", message, { publicKey });
    }
    if (kind === "another_machine") {
      const { machineId } = outcome;
      throw new IdentityRefusedError("unknown_identity", unknownIdentityMessage, { machineId, publicKey });
    }
    if (kind === "token_refused") {
      observer.enrolled(outcome.reason);
      log.info({ ...describe(identity), reason: outcome.reason }, "refused an agent's join token");
      throw new ConnectError("the join token is not valid", Code.Unauthenticated);
    }
    observer.enrolled(kind);
    if (kind === "accepted") {
      const { machineId } = outcome;
      return create(EnrolResponseSchema, { outcome: { case: "accepted", value: { machineId } } });
    }
    const { pauseMs } = pacer.pace(Buffer.from(publicKey).toString("hex"), Date.now(), false);
    return kind === "waiting"
      ? create(EnrolResponseSchema, { outcome: { case: "pending", value: {} }, askAgainAfter: durationFromMs(pauseMs) })
      : create(EnrolResponseSchema, {
          outcome: { case: "refused", value: { reason: rejectedReason } },
          askAgainAfter: durationFromMs(rejectedFactor * pauseMs),
        });
  }
}

function describe({ publicKey, remoteAddress }: KeyIdentity) {
  return { publicKey: Buffer.from(publicKey).toString("hex"), remoteAddress };
}

/**
 * Creates a function that runs work one after the other, so that strangers occupy one connection to the database at
 * most. It rejects if too many wait, or if its caller has left when its turn comes.
 */
function createTurns() {
  const turnstile = new Turnstile(1);
  return async <T>(patience: Patience, work: () => Promise<T>): Promise<T> => {
    if (turnstile.waiting >= maxWaiting) throw getOverloadedError(defaultRetryAfterSeconds);
    return await turnstile.pass(async () => {
      if (patience.aborted) throw patience.reason;
      return await work();
    });
  };
}
