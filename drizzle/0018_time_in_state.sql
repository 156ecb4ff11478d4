CREATE TABLE "machine_seen_state" (
	"machine_id" uuid PRIMARY KEY NOT NULL,
	"state" text NOT NULL
);
--> statement-breakpoint
CREATE TABLE "state_limit" (
	"state" text PRIMARY KEY NOT NULL,
	"seconds" bigint NOT NULL,
	CONSTRAINT "state_limit_seconds_check" CHECK ("state_limit"."seconds" > 0)
);
--> statement-breakpoint
CREATE TABLE "state_transition" (
	"from_state" text NOT NULL,
	"to_state" text NOT NULL,
	"transitions" bigint NOT NULL,
	CONSTRAINT "state_transition_pkey" PRIMARY KEY("from_state","to_state")
);
--> statement-breakpoint
DROP INDEX "os_installation_report_machine_id_result_idx";--> statement-breakpoint
DROP INDEX "provided_machine_id_place_idx";--> statement-breakpoint
ALTER TABLE "machine_seen_state" ADD CONSTRAINT "machine_seen_state_machine_id_machine_id_fk" FOREIGN KEY ("machine_id") REFERENCES "public"."machine"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "machine_seen_state_machine_id_state_idx" ON "machine_seen_state" USING btree ("machine_id","state");--> statement-breakpoint
CREATE INDEX "agent_started_machine_id_since_idx" ON "agent_started" USING btree ("machine_id","started_at");--> statement-breakpoint
CREATE INDEX "machine_id_since_idx" ON "machine" USING btree ("id","created_at","agent_revoked_at","unprovided_at");--> statement-breakpoint
CREATE INDEX "os_installation_report_machine_id_result_since_idx" ON "os_installation_report" USING btree ("machine_id","result","reported_at");--> statement-breakpoint
CREATE INDEX "provided_machine_id_place_since_idx" ON "provided" USING btree ("machine_id","provider","location","provided_at");