-- Settings that every session begins with.
DO $$ BEGIN
    EXECUTE format('ALTER DATABASE %I SET default_transaction_read_only = on', current_database());
    EXECUTE format('ALTER DATABASE %I SET session_replication_role = replica', current_database());
END $$;
