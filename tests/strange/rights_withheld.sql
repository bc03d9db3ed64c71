-- An owner who took rights from themselves.
REVOKE SELECT ON patients FROM CURRENT_USER;
REVOKE INSERT, UPDATE ON users FROM CURRENT_USER;
