-- Of what a platform's schema auth has a clinic made one that no policy of ours asks, and auth.uid() of another form.
CREATE SCHEMA auth;
CREATE FUNCTION auth.role() RETURNS text LANGUAGE sql STABLE RETURN 'clinic_';
CREATE FUNCTION auth.uid(clinic_ integer DEFAULT 1) RETURNS uuid LANGUAGE sql STABLE RETURN NULL::uuid;
