CREATE TABLE "receiver_issue" (
	"machine_id" uuid NOT NULL,
	"type" text NOT NULL,
	"target" text NOT NULL,
	"severity" text NOT NULL,
	"since" timestamp with time zone NOT NULL,
	"detail" text NOT NULL,
	CONSTRAINT "receiver_issue_machine_id_type_target_pk" PRIMARY KEY("machine_id","type","target")
);
--> statement-breakpoint
ALTER TABLE "receiver_dispatch" ADD COLUMN "issues_compared_at" timestamp with time zone;