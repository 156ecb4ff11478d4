CREATE TABLE "agent_heartbeat" (
	"machine_id" uuid PRIMARY KEY NOT NULL,
	"heartbeat_at" timestamp with time zone NOT NULL,
	"signature_nonce" bigint
);
--> statement-breakpoint
CREATE TABLE "agent_started" (
	"machine_id" uuid PRIMARY KEY NOT NULL,
	"started_at" timestamp with time zone DEFAULT now() NOT NULL,
	"public_key" "bytea" NOT NULL,
	CONSTRAINT "agent_started_public_key_key" UNIQUE("public_key"),
	CONSTRAINT "agent_started_public_key_check" CHECK (octet_length("agent_started"."public_key") = 32)
);
--> statement-breakpoint
CREATE TABLE "hardware_report" (
	"machine_id" uuid PRIMARY KEY NOT NULL,
	"reported_at" timestamp with time zone NOT NULL,
	"report" "bytea" NOT NULL
);
--> statement-breakpoint
CREATE TABLE "machine" (
	"id" uuid PRIMARY KEY NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "machine_history" (
	"id" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "machine_history_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"machine_id" uuid NOT NULL,
	"at" timestamp with time zone DEFAULT now() NOT NULL,
	"actor" text NOT NULL,
	"kind" text NOT NULL,
	"detail" jsonb NOT NULL
);
--> statement-breakpoint
CREATE TABLE "os_installation_report" (
	"machine_id" uuid PRIMARY KEY NOT NULL,
	"generation" bigint NOT NULL,
	"reported_at" timestamp with time zone NOT NULL,
	"result" text NOT NULL,
	"error" text,
	"report" "bytea" NOT NULL,
	CONSTRAINT "os_installation_report_result_check" CHECK ("os_installation_report"."result" in ('success', 'error')),
	CONSTRAINT "os_installation_report_error_check" CHECK (("os_installation_report"."error" is not null) = ("os_installation_report"."result" = 'error'))
);
--> statement-breakpoint
CREATE TABLE "os_installation_request" (
	"machine_id" uuid NOT NULL,
	"generation" bigint NOT NULL,
	"requested_at" timestamp with time zone DEFAULT now() NOT NULL,
	"requested_by" text NOT NULL,
	"cancelled_at" timestamp with time zone,
	"request" "bytea" NOT NULL,
	CONSTRAINT "os_installation_request_machine_id_generation_pk" PRIMARY KEY("machine_id","generation"),
	CONSTRAINT "os_installation_request_generation_check" CHECK ("os_installation_request"."generation" > 0)
);
--> statement-breakpoint
CREATE TABLE "provided" (
	"machine_id" uuid PRIMARY KEY NOT NULL,
	"provider" text NOT NULL,
	"provider_id" text NOT NULL,
	"reservation" text,
	"address" text,
	"location" text,
	"status" text DEFAULT 'unknown' NOT NULL,
	CONSTRAINT "provided_provider_provider_id_key" UNIQUE("provider","provider_id"),
	CONSTRAINT "provided_status_check" CHECK ("provided"."status" in ('unknown', 'provisioning', 'running', 'stopped', 'missing', 'failed'))
);
--> statement-breakpoint
ALTER TABLE "agent_heartbeat" ADD CONSTRAINT "agent_heartbeat_machine_id_machine_id_fk" FOREIGN KEY ("machine_id") REFERENCES "public"."machine"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "agent_started" ADD CONSTRAINT "agent_started_machine_id_machine_id_fk" FOREIGN KEY ("machine_id") REFERENCES "public"."machine"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "hardware_report" ADD CONSTRAINT "hardware_report_machine_id_machine_id_fk" FOREIGN KEY ("machine_id") REFERENCES "public"."machine"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "os_installation_report" ADD CONSTRAINT "os_installation_report_machine_id_machine_id_fk" FOREIGN KEY ("machine_id") REFERENCES "public"."machine"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "os_installation_request" ADD CONSTRAINT "os_installation_request_machine_id_machine_id_fk" FOREIGN KEY ("machine_id") REFERENCES "public"."machine"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "provided" ADD CONSTRAINT "provided_machine_id_machine_id_fk" FOREIGN KEY ("machine_id") REFERENCES "public"."machine"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "machine_history_machine_id_id_idx" ON "machine_history" USING btree ("machine_id","id");--> statement-breakpoint
CREATE UNIQUE INDEX "machine_history_refused_report_key" ON "machine_history" USING btree ("machine_id",("detail" ->> 'generation')) WHERE "machine_history"."kind" = 'installation_report_refused';