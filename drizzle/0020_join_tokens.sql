CREATE TABLE "join_token" (
	"id" text PRIMARY KEY NOT NULL,
	"secret_hash" "bytea" NOT NULL,
	"max_uses" integer NOT NULL,
	"uses" integer DEFAULT 0 NOT NULL,
	"requires_approval" boolean NOT NULL,
	"provider" text,
	"location" text,
	"labels" jsonb NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"created_by" text NOT NULL,
	"expires_at" timestamp with time zone NOT NULL,
	"revoked_at" timestamp with time zone,
	"revoked_by" text,
	CONSTRAINT "join_token_uses_check" CHECK ("join_token"."uses" between 0 and "join_token"."max_uses"),
	CONSTRAINT "join_token_secret_hash_check" CHECK (octet_length("join_token"."secret_hash") = 32)
);
--> statement-breakpoint
ALTER TABLE "machine_enrolment" ADD COLUMN "join_token_id" text;--> statement-breakpoint
ALTER TABLE "machine_enrolment" ADD CONSTRAINT "machine_enrolment_join_token_id_join_token_id_fk" FOREIGN KEY ("join_token_id") REFERENCES "public"."join_token"("id") ON DELETE no action ON UPDATE no action;