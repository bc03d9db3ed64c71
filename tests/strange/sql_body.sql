-- A function with an SQL body, another that calls it, and a view on top; who may call it is not the usual.
CREATE FUNCTION clinic_new() RETURNS bigint LANGUAGE sql STABLE
    BEGIN ATOMIC SELECT count(*) FROM doctors WHERE created_at > '2024-01-01'; END;
CREATE FUNCTION clinic_some_new() RETURNS boolean LANGUAGE sql STABLE RETURN clinic_new() > 0;
CREATE VIEW clinic_news AS SELECT clinic_some_new() AS some;
REVOKE EXECUTE ON FUNCTION clinic_new() FROM PUBLIC;
COMMENT ON FUNCTION clinic_new() IS 'of this year';
