/** The page that Prometheus reads. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { Metrics } from "./metrics.ts";

/** Options of `serveMetrics`. */
export interface MetricsPageOptions {
  readonly metrics: Pick<Metrics, "render" | "contentType">;
  /** Rejects to refuse the request. */
  readonly authorize: (request: FastifyRequest) => Promise<void>;
  /** Answers a request with an error. */
  readonly replyWithError: (reply: FastifyReply, error: unknown) => void;
}

/** Path of the page. */
export const metricsPath = "/metrics";

/** Adds the page to a listener that is not open yet. */
export function serveMetrics(listener: FastifyInstance, options: MetricsPageOptions): void {
  const { metrics, authorize, replyWithError } = options;
  listener.get(metricsPath, async (request, reply) => {
    try {
      await authorize(request);
      const page = await metrics.render();
      return reply.header("cache-control", "no-store").type(metrics.contentType).send(page);
    } catch (error) {
      replyWithError(reply, error);
      return reply;
    }
  });
}
