CREATE TABLE "machine_identifier" (
	"machine_id" uuid NOT NULL,
	"kind" text NOT NULL,
	"value" text NOT NULL,
	"scope" text NOT NULL,
	"shown" text NOT NULL,
	"part" text NOT NULL,
	"first_seen_at" timestamp with time zone NOT NULL,
	"since" timestamp with time zone NOT NULL,
	"gone_at" timestamp with time zone,
	"is_shared" boolean DEFAULT false NOT NULL,
	CONSTRAINT "machine_identifier_pkey" PRIMARY KEY("machine_id","kind","value","scope")
);
--> statement-breakpoint
CREATE TABLE "uncompared_machine" (
	"machine_id" uuid PRIMARY KEY NOT NULL,
	"transaction" "xid8" DEFAULT pg_current_xact_id() NOT NULL
);
--> statement-breakpoint
ALTER TABLE "hardware_report" ADD COLUMN "identified_at" timestamp with time zone;--> statement-breakpoint
ALTER TABLE "machine_identifier" ADD CONSTRAINT "machine_identifier_machine_id_machine_id_fk" FOREIGN KEY ("machine_id") REFERENCES "public"."machine"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "uncompared_machine" ADD CONSTRAINT "uncompared_machine_machine_id_machine_id_fk" FOREIGN KEY ("machine_id") REFERENCES "public"."machine"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "machine_identifier_value_machine_id_idx" ON "machine_identifier" USING btree ("value" text_pattern_ops,"machine_id");--> statement-breakpoint
CREATE INDEX "machine_identifier_shared_idx" ON "machine_identifier" USING btree ("machine_id") WHERE is_shared and gone_at is null;--> statement-breakpoint
CREATE INDEX "hardware_report_unidentified_idx" ON "hardware_report" USING btree ("machine_id") WHERE identified_at is distinct from reported_at;--> statement-breakpoint
CREATE VIEW "public"."shared_identifier" AS (
select held.machine_id, held.kind, held.value, held.shown, held.part, other.machine_id as other_machine_id,
       greatest(held.since, other.since) as since
  from (
    select machine_id, kind, value, scope, shown, part, since
      from machine_identifier where is_shared and gone_at is null
    union all
    select changed.machine_id, kind, value, scope, shown, part, since
      from uncompared_machine changed
      join machine_identifier identifier on identifier.machine_id = changed.machine_id
     where gone_at is null and not is_shared
  ) held
 cross join lateral (
    select machine_id, since from machine_identifier other
     where other.value = held.value and other.kind = held.kind and other.scope = held.scope
       and other.gone_at is null and other.machine_id <> held.machine_id
     order by machine_id limit 1
  ) other);