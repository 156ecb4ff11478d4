CREATE TABLE "agent_past" (
	"machine_id" uuid PRIMARY KEY NOT NULL,
	"boot_ids" text[] DEFAULT '{}'::text[] NOT NULL,
	"serial_numbers" text[] DEFAULT '{}'::text[] NOT NULL
);
--> statement-breakpoint
CREATE TABLE "duplicate_agent" (
	"machine_id" uuid PRIMARY KEY NOT NULL,
	"sign" text NOT NULL,
	"value" text NOT NULL,
	"other_value" text NOT NULL,
	"since" timestamp with time zone NOT NULL,
	"seen_at" timestamp with time zone NOT NULL,
	"until" timestamp with time zone NOT NULL,
	CONSTRAINT "duplicate_agent_sign_check" CHECK ("duplicate_agent"."sign" in ('boot_id', 'serial_number'))
);
--> statement-breakpoint
CREATE TABLE "refused_report" (
	"machine_id" uuid PRIMARY KEY NOT NULL,
	"generation" bigint NOT NULL,
	"floor" bigint NOT NULL,
	"refused_at" timestamp with time zone NOT NULL
);
--> statement-breakpoint
ALTER TABLE "agent_past" ADD CONSTRAINT "agent_past_machine_id_machine_id_fk" FOREIGN KEY ("machine_id") REFERENCES "public"."machine"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "duplicate_agent" ADD CONSTRAINT "duplicate_agent_machine_id_machine_id_fk" FOREIGN KEY ("machine_id") REFERENCES "public"."machine"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "refused_report" ADD CONSTRAINT "refused_report_machine_id_machine_id_fk" FOREIGN KEY ("machine_id") REFERENCES "public"."machine"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
CREATE VIEW "public"."installation_withheld" AS (
select request.machine_id, request.generation, 'duplicate_agent' as reason, duplicate.until
  from os_installation_request request
  join duplicate_agent duplicate on duplicate.machine_id = request.machine_id and duplicate.until > now()
 where request.finished_at is null and request.cancelled_at is null and request.superseded_at is null
union all
select request.machine_id, request.generation, 'reported_before_given', null
  from os_installation_request request
  join refused_report refused
    on refused.machine_id = request.machine_id and request.generation in (refused.generation, refused.floor)
 where request.finished_at is null and request.cancelled_at is null and request.superseded_at is null and request.first_given_at is null);--> statement-breakpoint
INSERT INTO "refused_report" ("machine_id", "generation", "floor", "refused_at")
SELECT last.machine_id, last.generation, coalesce(believed.generation, 0), last.at
  FROM (
    SELECT DISTINCT ON (history.machine_id)
           history.machine_id, (history.detail ->> 'generation')::bigint AS generation, history.at,
           greatest(
             (SELECT max(request.generation) FROM os_installation_request request WHERE request.machine_id = history.machine_id),
             (SELECT deleted.generation FROM deleted_machine deleted WHERE deleted.machine_id = history.machine_id),
             0) AS reached
      FROM machine_history history
      JOIN machine ON machine.id = history.machine_id
     WHERE history.kind = 'installation_report_refused'
     ORDER BY history.machine_id, history.id DESC
  ) last
 CROSS JOIN LATERAL (
    SELECT max((history.detail ->> 'generation')::bigint) AS generation
      FROM machine_history history
     WHERE history.machine_id = last.machine_id AND history.kind = 'installation_report_refused'
       AND (history.detail ->> 'generation')::numeric BETWEEN 1 AND last.reached + 35184372088832::numeric
  ) believed;--> statement-breakpoint
ALTER TABLE "agent_heartbeat" ADD COLUMN "knows_additions" boolean DEFAULT false NOT NULL;
