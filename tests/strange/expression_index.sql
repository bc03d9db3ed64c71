-- An index by day on a time that gets a zone: what a day is depends on the session from then on.
CREATE INDEX clinic_sessions_day ON sessions ((created_at::date));
