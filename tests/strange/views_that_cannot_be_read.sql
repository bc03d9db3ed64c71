-- Names of ours, borne by what keeps no rows, and cannot even be asked for them.
CREATE VIEW audit_logs AS SELECT 1 AS x WHERE 1 / 0 = 1;
CREATE MATERIALIZED VIEW notifications AS SELECT 1 AS x WITH NO DATA;
