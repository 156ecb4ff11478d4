CREATE TABLE "agent_boots" (
	"machine_id" uuid PRIMARY KEY NOT NULL,
	"history_id" bigint NOT NULL,
	"run_began_at" timestamp with time zone NOT NULL,
	"run_boots" integer NOT NULL,
	"last_at" timestamp with time zone NOT NULL,
	"second_last_at" timestamp with time zone,
	"loop_since" timestamp with time zone,
	"loop_boots" integer
);
--> statement-breakpoint
ALTER TABLE "agent_boots" ADD CONSTRAINT "agent_boots_machine_id_machine_id_fk" FOREIGN KEY ("machine_id") REFERENCES "public"."machine"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "agent_boots_loop_idx" ON "agent_boots" USING btree ("machine_id") WHERE "agent_boots"."loop_since" is not null;