CREATE INDEX "machine_history_at_id_idx" ON "machine_history" USING btree ("at","id");--> statement-breakpoint
DROP INDEX "machine_history_at_idx";