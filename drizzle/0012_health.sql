CREATE TABLE "health_alert" (
	"machine_id" uuid NOT NULL,
	"source" text NOT NULL,
	"alert_id" text NOT NULL,
	"target" text NOT NULL,
	"severity" text NOT NULL,
	"message" text NOT NULL,
	"blocks_install" boolean NOT NULL,
	"mutes" boolean NOT NULL,
	"since" timestamp with time zone NOT NULL,
	"until" timestamp with time zone NOT NULL,
	CONSTRAINT "health_alert_pkey" PRIMARY KEY("machine_id","source","alert_id","target"),
	CONSTRAINT "health_alert_severity_check" CHECK ("health_alert"."severity" in ('info', 'warning', 'critical'))
);
--> statement-breakpoint
DROP VIEW "public"."installation_withheld";--> statement-breakpoint
ALTER TABLE "health_alert" ADD CONSTRAINT "health_alert_machine_id_machine_id_fk" FOREIGN KEY ("machine_id") REFERENCES "public"."machine"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "health_alert_blocking_idx" ON "health_alert" USING btree ("machine_id") WHERE "health_alert"."blocks_install";--> statement-breakpoint
CREATE INDEX "health_alert_muting_idx" ON "health_alert" USING btree ("machine_id") WHERE "health_alert"."mutes";--> statement-breakpoint
CREATE VIEW "public"."machine_muted" AS (
select hold.machine_id from machine_hold hold where hold.is_muted and (hold.until is null or hold.until > now())
union
select alert.machine_id from health_alert alert where alert.mutes and alert.until > now());--> statement-breakpoint
CREATE VIEW "public"."installation_withheld" AS (
select request.machine_id, request.generation, 'held' as reason, hold.until
  from os_installation_request request
  join machine_hold hold on hold.machine_id = request.machine_id and (hold.until is null or hold.until > now())
 where request.finished_at is null and request.cancelled_at is null and request.superseded_at is null
union all
select request.machine_id, request.generation, 'unhealthy', alert.until
  from os_installation_request request
  join health_alert alert
    on alert.machine_id = request.machine_id and alert.blocks_install and alert.until > now()
 where request.finished_at is null and request.cancelled_at is null and request.superseded_at is null
union all
select request.machine_id, request.generation, 'duplicate_agent', duplicate.until
  from os_installation_request request
  join duplicate_agent duplicate on duplicate.machine_id = request.machine_id and duplicate.until > now()
 where request.finished_at is null and request.cancelled_at is null and request.superseded_at is null
union all
select request.machine_id, request.generation, 'reported_before_given', null
  from os_installation_request request
  join refused_report refused
    on refused.machine_id = request.machine_id
   and (request.generation <= refused.floor or request.generation = refused.generation)
 where request.finished_at is null and request.cancelled_at is null and request.superseded_at is null and request.first_given_at is null);