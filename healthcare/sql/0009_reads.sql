-- A record that is opened in an emergency is open once that is entered for good, and an entry of a read says whose record
-- it was to nobody who does not see the row.

-- An entry of the running transaction can still be taken back, and nobody would know who looked.
CREATE OR REPLACE FUNCTION app.opened_patient_ids() RETURNS SETOF uuid
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    me constant uuid := app.user_id();
BEGIN
    RETURN QUERY SELECT a.patient_id FROM public.audit_logs AS a
                 WHERE a.user_id = me AND a.created_at > clock_timestamp() - interval '60 minutes'
                   AND a.action = 'BREAK_GLASS' AND (a.new_values ->> 'until')::timestamptz > clock_timestamp()
                   AND a.transaction_id IS DISTINCT FROM pg_current_xact_id_if_assigned()::text::bigint;
END
$$;
COMMENT ON FUNCTION app.opened_patient_ids() IS
    'Patients whose record the caller has opened by app.break_glass(), once that is committed and until its time is over';

-- Everybody sees their own entries: whose a row is, and that it is there, would stand in them. So the patient is named
-- where the caller's own policies show the row; their conditions ask who is bound, not who runs this.
CREATE OR REPLACE FUNCTION app.record_reads(reads jsonb) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    opened constant uuid[] := ARRAY(SELECT app.opened_patient_ids());
    source text;
    seen text;
BEGIN
    PERFORM app.require_bound('app.record_reads(jsonb)');
    IF jsonb_array_length(reads) > 1000 OR octet_length(reads::text) > 1000000 OR EXISTS (
        SELECT FROM jsonb_to_recordset(reads) AS r ("table" text, purpose text)
        WHERE (r."table" IN ('patients', 'appointments', 'sessions', 'insurance_claims') AND r.purpose IN (
            'treatment', 'payment', 'operations', 'own record', 'emergency', 'legal')) IS NOT TRUE) THEN
        RAISE EXCEPTION 'these are no reads of clinical records' USING ERRCODE = 'invalid_parameter_value',
            HINT = 'At most 1,000 of patients, appointments, sessions or insurance_claims, for a purpose of docs/audit.md.';
    END IF;
    PERFORM set_config('synchronous_commit', 'on', true) WHERE current_setting('synchronous_commit') IN ('off', 'local');
    FOR source IN SELECT DISTINCT r."table" FROM jsonb_to_recordset(reads) AS r ("table" text) LOOP
        SELECT coalesce(string_agg(pg_get_expr(p.polqual, p.polrelid), ' OR '), 'false') INTO seen
        FROM pg_catalog.pg_policy AS p JOIN pg_catalog.pg_roles AS o ON o.oid = ANY (p.polroles)
        WHERE p.polrelid = format('public.%I', source)::regclass AND p.polpermissive AND p.polcmd = 'r'
          AND o.rolname = current_setting('role');
        EXECUTE format(
            'INSERT INTO public.audit_logs (action, table_name, record_id, patient_id, new_values) '
            'SELECT ''READ'', $1, r.id, concerned.id, jsonb_build_object('
            '''purpose'', CASE WHEN concerned.id = ANY ($3) THEN ''emergency'' ELSE r.purpose END, ''columns'', r.columns) '
            'FROM jsonb_to_recordset($2) AS r ("table" text, id uuid, purpose text, columns text[]) '
            'LEFT JOIN LATERAL (SELECT %1$I.%2$I AS id FROM public.%1$I WHERE %1$I.id = r.id AND (%3$s)) AS concerned ON true '
            'WHERE r."table" = $1',
            source, CASE source WHEN 'patients' THEN 'id' ELSE 'patient_id' END, seen) USING source, reads, opened;
    END LOOP;
END
$$;
COMMENT ON FUNCTION app.record_reads(jsonb) IS
    'Enters rows of clinical records that the signed person has read in the audit log; the patient of those that they see';
REVOKE EXECUTE ON FUNCTION app.opened_patient_ids(), app.record_reads(jsonb) FROM PUBLIC;
