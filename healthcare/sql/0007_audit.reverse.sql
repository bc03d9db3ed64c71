-- Before it, 0003_audit.sql says again which tables are audited.
SELECT app.unaudit('doctors sessions insurance_claims');
