CREATE TABLE "machine_label" (
	"machine_id" uuid NOT NULL,
	"key" text NOT NULL,
	"value" text NOT NULL,
	CONSTRAINT "machine_label_pkey" PRIMARY KEY("machine_id","key")
);
--> statement-breakpoint
ALTER TABLE "machine_label" ADD CONSTRAINT "machine_label_machine_id_machine_id_fk" FOREIGN KEY ("machine_id") REFERENCES "public"."machine"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "machine_label_key_value_machine_id_idx" ON "machine_label" USING btree ("key","value","machine_id");--> statement-breakpoint
CREATE INDEX "machine_label_key_machine_id_value_idx" ON "machine_label" USING btree ("key","machine_id","value");