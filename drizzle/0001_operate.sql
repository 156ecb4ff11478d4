CREATE TABLE "admin_request" (
	"actor" text NOT NULL,
	"request_id" uuid NOT NULL,
	"at" timestamp with time zone DEFAULT now() NOT NULL,
	"method" text NOT NULL,
	"request_hash" "bytea" NOT NULL,
	"response" "bytea" NOT NULL,
	CONSTRAINT "admin_request_actor_request_id_pk" PRIMARY KEY("actor","request_id")
);--> statement-breakpoint
CREATE TABLE "admin_token" (
	"id" text PRIMARY KEY NOT NULL,
	"name" text NOT NULL,
	"role" text NOT NULL,
	"secret_hash" "bytea" NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"created_by" text NOT NULL,
	"expires_at" timestamp with time zone,
	"revoked_at" timestamp with time zone,
	"revoked_by" text,
	CONSTRAINT "admin_token_role_check" CHECK ("admin_token"."role" in ('viewer', 'operator', 'admin')),
	CONSTRAINT "admin_token_secret_hash_check" CHECK (octet_length("admin_token"."secret_hash") = 32)
);--> statement-breakpoint
CREATE TABLE "deleted_machine" (
	"machine_id" uuid PRIMARY KEY NOT NULL,
	"generation" bigint NOT NULL,
	"deleted_at" timestamp with time zone DEFAULT now() NOT NULL
);--> statement-breakpoint
CREATE TABLE "hardware_report_past" (
	"id" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "hardware_report_past_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"machine_id" uuid NOT NULL,
	"reported_at" timestamp with time zone NOT NULL,
	"report" "bytea" NOT NULL
);--> statement-breakpoint
CREATE TABLE "history_floor" (
	"only" boolean PRIMARY KEY DEFAULT true NOT NULL,
	"transaction" "xid8" NOT NULL,
	"history_id" bigint NOT NULL,
	CONSTRAINT "history_floor_only_check" CHECK ("history_floor"."only")
);--> statement-breakpoint
ALTER TABLE "agent_heartbeat" ADD COLUMN "alive_since" timestamp with time zone DEFAULT now() NOT NULL;--> statement-breakpoint
ALTER TABLE "agent_heartbeat" ADD COLUMN "quiet_until" timestamp with time zone DEFAULT now() NOT NULL;--> statement-breakpoint
ALTER TABLE "agent_heartbeat" ADD COLUMN "agent_version" text;--> statement-breakpoint
ALTER TABLE "agent_heartbeat" ADD COLUMN "boot_id" text;--> statement-breakpoint
ALTER TABLE "hardware_report" ADD COLUMN "manufacturer" text;--> statement-breakpoint
ALTER TABLE "hardware_report" ADD COLUMN "product" text;--> statement-breakpoint
ALTER TABLE "hardware_report" ADD COLUMN "serial_number" text;--> statement-breakpoint
ALTER TABLE "hardware_report" ADD COLUMN "memory_bytes" bigint;--> statement-breakpoint
ALTER TABLE "hardware_report" ADD COLUMN "cpu_threads" integer;--> statement-breakpoint
ALTER TABLE "hardware_report" ADD COLUMN "disk_bytes" bigint;--> statement-breakpoint
ALTER TABLE "hardware_report" ADD COLUMN "largest_disk_bytes" bigint;--> statement-breakpoint
ALTER TABLE "machine" ADD COLUMN "agent_revoked_at" timestamp with time zone;--> statement-breakpoint
ALTER TABLE "machine_history" ADD COLUMN "transaction" "xid8" DEFAULT pg_current_xact_id() NOT NULL;--> statement-breakpoint
ALTER TABLE "os_installation_request" ADD COLUMN "cancelled_by" text;--> statement-breakpoint
ALTER TABLE "os_installation_request" ADD COLUMN "superseded_at" timestamp with time zone;--> statement-breakpoint
ALTER TABLE "os_installation_request" ADD COLUMN "first_given_at" timestamp with time zone;--> statement-breakpoint
ALTER TABLE "os_installation_request" ADD COLUMN "last_given_at" timestamp with time zone;--> statement-breakpoint
ALTER TABLE "os_installation_request" ADD COLUMN "times_given" bigint DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE "os_installation_request" ADD COLUMN "started_at" timestamp with time zone;--> statement-breakpoint
ALTER TABLE "os_installation_request" ADD COLUMN "progress_at" timestamp with time zone;--> statement-breakpoint
ALTER TABLE "os_installation_request" ADD COLUMN "phase" text;--> statement-breakpoint
ALTER TABLE "os_installation_request" ADD COLUMN "percent" smallint;--> statement-breakpoint
ALTER TABLE "os_installation_request" ADD COLUMN "due_at" timestamp with time zone;--> statement-breakpoint
ALTER TABLE "os_installation_request" ADD COLUMN "finished_at" timestamp with time zone;--> statement-breakpoint
ALTER TABLE "os_installation_request" ADD COLUMN "result" text;--> statement-breakpoint
ALTER TABLE "os_installation_request" ADD COLUMN "error" text;--> statement-breakpoint
ALTER TABLE "provided" ADD COLUMN "provided_at" timestamp with time zone DEFAULT now() NOT NULL;--> statement-breakpoint
ALTER TABLE "hardware_report_past" ADD CONSTRAINT "hardware_report_past_machine_id_machine_id_fk" FOREIGN KEY ("machine_id") REFERENCES "public"."machine"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "admin_request_at_idx" ON "admin_request" USING btree ("at");--> statement-breakpoint
CREATE UNIQUE INDEX "admin_token_name_key" ON "admin_token" USING btree ("name") WHERE "admin_token"."revoked_at" is null;--> statement-breakpoint
CREATE INDEX "hardware_report_past_machine_id_id_idx" ON "hardware_report_past" USING btree ("machine_id","id");--> statement-breakpoint
CREATE INDEX "machine_history_transaction_id_idx" ON "machine_history" USING btree ("transaction","id");--> statement-breakpoint
CREATE INDEX "machine_history_at_idx" ON "machine_history" USING btree ("at");--> statement-breakpoint
CREATE INDEX "os_installation_report_failed_idx" ON "os_installation_report" USING btree ("machine_id") WHERE "os_installation_report"."result" = 'error';--> statement-breakpoint
UPDATE "os_installation_request" request
   SET "finished_at" = report."reported_at", "result" = report."result", "error" = report."error"
  FROM "os_installation_report" report
 WHERE report."machine_id" = request."machine_id" AND report."generation" = request."generation";--> statement-breakpoint
UPDATE "os_installation_request" request
   SET "superseded_at" = (
         SELECT min("requested_at") FROM "os_installation_request" newer
          WHERE newer."machine_id" = request."machine_id" AND newer."generation" > request."generation"
       )
 WHERE "finished_at" IS NULL AND "cancelled_at" IS NULL
   AND EXISTS (
         SELECT FROM "os_installation_request" newer
          WHERE newer."machine_id" = request."machine_id" AND newer."generation" > request."generation"
       );--> statement-breakpoint
CREATE UNIQUE INDEX "os_installation_request_open_key" ON "os_installation_request" USING btree ("machine_id") WHERE "os_installation_request"."finished_at" is null and "os_installation_request"."cancelled_at" is null and "os_installation_request"."superseded_at" is null;--> statement-breakpoint
ALTER TABLE "os_installation_request" ADD CONSTRAINT "os_installation_request_percent_check" CHECK ("os_installation_request"."percent" between 0 and 100);--> statement-breakpoint
ALTER TABLE "os_installation_request" ADD CONSTRAINT "os_installation_request_result_check" CHECK (("os_installation_request"."finished_at" is not null) = ("os_installation_request"."result" is not null) and ("os_installation_request"."error" is not null) = ("os_installation_request"."result" is not distinct from 'error'));--> statement-breakpoint
CREATE VIEW "public"."installation_state" AS (
select request.machine_id, request.generation,
       case when request.result = 'success' then 'succeeded'
            when request.result = 'error' then 'failed'
            when request.cancelled_at is not null then 'cancelled'
            when request.superseded_at is not null then 'superseded'
            when request.first_given_at is null then 'pending'
            when request.due_at < now() then 'overdue'
            when request.started_at is not null then 'installing'
            else 'given' end as state,
       case when request.finished_at is not null then request.finished_at
            when request.cancelled_at is not null then request.cancelled_at
            when request.superseded_at is not null then request.superseded_at
            when request.first_given_at is null then request.requested_at
            when request.due_at < now() then request.due_at
            when request.started_at is not null then request.started_at
            else request.first_given_at end as since,
       request.finished_at is null and request.cancelled_at is null and request.superseded_at is null as is_open
  from os_installation_request request);--> statement-breakpoint
CREATE VIEW "public"."machine_state" AS (
select machine.id as machine_id,
       case when open.state = 'pending' then 'installation_pending'
            when open.state = 'given' then 'installation_given'
            when open.state = 'installing' then 'installing'
            when open.state = 'overdue' then 'installation_overdue'
            when report.result = 'error' then 'installation_failed'
            when report.result = 'success' then 'installed'
            when agent.machine_id is null and provided.machine_id is null then 'not_provided'
            when agent.machine_id is null then 'no_agent'
            when heartbeat.heartbeat_at is null or heartbeat.heartbeat_at < agent.started_at then 'never_heartbeated'
            when heartbeat.quiet_until < now() then 'stale'
            else 'heartbeating' end as state,
       case when open.state is not null then open.since
            when report.result is not null then report.reported_at
            when agent.machine_id is null then greatest(machine.created_at, machine.agent_revoked_at, provided.provided_at)
            when heartbeat.heartbeat_at is null or heartbeat.heartbeat_at < agent.started_at then agent.started_at
            when heartbeat.quiet_until < now() then heartbeat.quiet_until
            else heartbeat.alive_since end as since,
       open.generation as open_generation
  from machine
  left join provided on provided.machine_id = machine.id
  left join agent_started agent on agent.machine_id = machine.id
  left join agent_heartbeat heartbeat on heartbeat.machine_id = machine.id
  left join os_installation_report report on report.machine_id = machine.id
  left join installation_state open on open.machine_id = machine.id and open.is_open);
