CREATE TABLE "expected" (
	"machine_id" uuid PRIMARY KEY NOT NULL,
	"serial_number" text,
	"system_uuid" text,
	"mac_addresses" text[] NOT NULL,
	"identifiers" text[] NOT NULL,
	"facts" integer NOT NULL,
	"expected_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "expected_facts_check" CHECK ("expected"."facts" between 1 and cardinality("expected"."identifiers"))
);
--> statement-breakpoint
ALTER TABLE "expected" ADD CONSTRAINT "expected_machine_id_machine_id_fk" FOREIGN KEY ("machine_id") REFERENCES "public"."machine"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "expected_identifiers_idx" ON "expected" USING gin ("identifiers");