-- What a patient may know of it: who saw or changed their record, in which role, when and why; newest first. Entries from
-- before the log named patients say whom they concern by the row alone.
CREATE OR REPLACE FUNCTION app.accesses_of_my_record(most integer DEFAULT 500)
RETURNS TABLE (at timestamptz, who text, acted_as text, action text, table_name text, purpose text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    me constant uuid := app.my_patient_id();
BEGIN
    RETURN QUERY SELECT a.created_at, u.name::text, a.acted_as::text, a.action::text, a.table_name::text,
                        CASE a.action WHEN 'READ' THEN a.new_values ->> 'purpose' WHEN 'BREAK_GLASS' THEN a.new_values ->> 'reason' END
                 FROM public.audit_logs AS a LEFT JOIN public.users AS u ON u.id = a.user_id
                 WHERE a.patient_id = me OR (a.record_id = me AND a.patient_id IS NULL AND a.table_name = 'patients')
                 ORDER BY a.created_at DESC LIMIT least(most, 5000);
END
$$;
COMMENT ON FUNCTION app.accesses_of_my_record(integer) IS 'Who saw or changed the caller''s record, a patient''s, when and why; newest first';
REVOKE EXECUTE ON FUNCTION app.accesses_of_my_record(integer) FROM PUBLIC;
