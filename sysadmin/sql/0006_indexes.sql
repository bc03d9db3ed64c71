CREATE INDEX CONCURRENTLY migration_runs_started_at_idx ON migration_runs (started_at);

CREATE INDEX CONCURRENTLY migration_steps_app_name_started_at_idx ON migration_steps (app, name, started_at);
