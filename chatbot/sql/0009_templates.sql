-- An approval is of a text, so it is theirs who says what the text is.

-- As it was, but that who changes what somebody else has approved approves it themselves.
CREATE OR REPLACE FUNCTION app.stamp_template() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    me constant uuid := app.user_id();
BEGIN
    IF TG_OP = 'INSERT' THEN
        NEW.created_by := me;
    ELSIF NEW.created_by IS DISTINCT FROM OLD.created_by THEN
        RAISE EXCEPTION 'the author of a template is not to be changed' USING ERRCODE = 'insufficient_privilege';
    END IF;
    IF NEW.is_approved AND (TG_OP = 'INSERT' OR NOT OLD.is_approved) THEN
        IF NEW.created_by = me THEN
            RAISE EXCEPTION 'nobody approves a template of their own' USING ERRCODE = 'insufficient_privilege';
        END IF;
        NEW.approved_by := me;
    ELSIF NEW.is_approved THEN
        NEW.approved_by := OLD.approved_by;
        IF (NEW.content, NEW.variables, NEW.language) IS DISTINCT FROM (OLD.content, OLD.variables, OLD.language) THEN
            -- An author who is a supervisor could otherwise rewrite what somebody else approved.
            NEW.is_approved := NEW.created_by IS DISTINCT FROM me;
            NEW.approved_by := CASE WHEN NEW.is_approved THEN me END;
        END IF;
    ELSE
        NEW.approved_by := NULL;
    END IF;
    RETURN NEW;
END
$$;
