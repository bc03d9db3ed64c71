-- Whoever may make functions in our schemas, has them called by our own.
ALTER DEFAULT PRIVILEGES GRANT ALL ON SCHEMAS TO PUBLIC;
