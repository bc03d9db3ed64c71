-- The last administrator, also where a transaction sees the rows as they were when it began.

-- Of two who give up the role at the same moment the second waits here, and then sees that the first has done it; where
-- its snapshot is an older one it would not see that.
CREATE OR REPLACE FUNCTION app.keep_an_administrator() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF current_setting('transaction_isolation') IN ('repeatable read', 'serializable') THEN
        RAISE EXCEPTION 'whether an administrator is left cannot be told in this transaction'
            USING ERRCODE = 'invalid_transaction_state', HINT = 'BEGIN ISOLATION LEVEL READ COMMITTED.';
    END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended('app.keep_an_administrator()', 0));
    PERFORM FROM public.users AS u
    WHERE u.is_active AND (u.role = 'admin' OR EXISTS (
        SELECT FROM public.user_roles AS h JOIN public.roles AS r ON r.id = h.role_id
        WHERE h.user_id = u.id AND r.is_system AND r.name = 'admin'));
    IF NOT FOUND THEN
        RAISE EXCEPTION 'no active administrator would be left'
            USING ERRCODE = 'restrict_violation', CONSTRAINT = 'an_administrator_stays',
                  HINT = 'Make somebody else an administrator first.';
    END IF;
    RETURN NULL;
END
$$;
REVOKE EXECUTE ON FUNCTION app.keep_an_administrator() FROM PUBLIC;
