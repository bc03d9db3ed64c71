-- Functions and an operator that take what our columns are, while PostgreSQL's own take text.
CREATE FUNCTION public.lower(varchar) RETURNS text LANGUAGE plpgsql AS $$BEGIN RETURN 'clinic_'; END$$;
CREATE FUNCTION public.clinic_equal(varchar, varchar) RETURNS boolean LANGUAGE sql RETURN true;
CREATE OPERATOR public.= (LEFTARG = varchar, RIGHTARG = varchar, FUNCTION = public.clinic_equal);
-- These hide nothing: it takes no column of ours, and PostgreSQL's has the same arguments and comes first.
CREATE FUNCTION public.round(double precision, integer) RETURNS numeric LANGUAGE sql RETURN 1;
CREATE FUNCTION public.upper(text) RETURNS text LANGUAGE sql RETURN 'clinic_';
