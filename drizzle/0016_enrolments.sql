CREATE TABLE "machine_enrolment" (
	"id" uuid PRIMARY KEY DEFAULT gen_random_uuid() NOT NULL,
	"public_key" "bytea" NOT NULL,
	"state" text DEFAULT 'waiting' NOT NULL,
	"source" text NOT NULL,
	"address" text NOT NULL,
	"first_seen_at" timestamp with time zone DEFAULT now() NOT NULL,
	"last_seen_at" timestamp with time zone DEFAULT now() NOT NULL,
	"signature_nonce" bigint,
	"agent_version" text,
	"boot_id" text,
	"manufacturer" text,
	"product" text,
	"serial_number" text,
	"system_uuid" text,
	"mac_addresses" text[] DEFAULT '{}'::text[] NOT NULL,
	"identifiers" text[] DEFAULT '{}'::text[] NOT NULL,
	"memory_bytes" bigint,
	"cpu_threads" integer,
	"disk_bytes" bigint,
	"report" "bytea",
	"machine_id" uuid,
	"decided_at" timestamp with time zone,
	"decided_by" text,
	CONSTRAINT "machine_enrolment_public_key_key" UNIQUE("public_key"),
	CONSTRAINT "machine_enrolment_machine_id_key" UNIQUE("machine_id"),
	CONSTRAINT "machine_enrolment_public_key_check" CHECK (octet_length("machine_enrolment"."public_key") = 32),
	CONSTRAINT "machine_enrolment_state_check" CHECK ("machine_enrolment"."state" in ('waiting', 'approved', 'rejected')),
	CONSTRAINT "machine_enrolment_machine_id_check" CHECK (("machine_enrolment"."state" = 'approved') = ("machine_enrolment"."machine_id" is not null)),
	CONSTRAINT "machine_enrolment_report_check" CHECK (octet_length("machine_enrolment"."report") <= 16384)
);
--> statement-breakpoint
ALTER TABLE "machine_enrolment" ADD CONSTRAINT "machine_enrolment_machine_id_machine_id_fk" FOREIGN KEY ("machine_id") REFERENCES "public"."machine"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "machine_enrolment_first_seen_at_id_idx" ON "machine_enrolment" USING btree ("first_seen_at","id");--> statement-breakpoint
CREATE INDEX "machine_enrolment_unseen_idx" ON "machine_enrolment" USING btree ("last_seen_at") WHERE "machine_enrolment"."machine_id" is null;--> statement-breakpoint
CREATE INDEX "machine_enrolment_source_unseen_idx" ON "machine_enrolment" USING btree ("source","last_seen_at") WHERE "machine_enrolment"."machine_id" is null;--> statement-breakpoint
CREATE INDEX "machine_enrolment_identifiers_idx" ON "machine_enrolment" USING gin ("identifiers");