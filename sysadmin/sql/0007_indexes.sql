CREATE INDEX CONCURRENTLY roles_is_system_idx ON roles (is_system);

CREATE INDEX CONCURRENTLY settings_is_public_idx ON settings (is_public);
