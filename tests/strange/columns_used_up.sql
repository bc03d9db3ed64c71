-- Columns that came and went, by a tool that did not know ALTER: a table counts each that it ever had.
DO $$BEGIN
    FOR n IN 1..1588 LOOP
        ALTER TABLE doctors ADD COLUMN clinic_brief integer;
        ALTER TABLE doctors DROP COLUMN clinic_brief;
    END LOOP;
END$$;
