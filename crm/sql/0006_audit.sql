-- The changes of these tables are recorded (sysadmin/sql/0016_audit.sql); a contact is a patient.

BEGIN; -- crm_leads
SELECT app.audit('crm_leads');
COMMIT;

BEGIN; -- crm_deals
SELECT app.audit('crm_deals', patient => 'contact_id');
COMMIT;

BEGIN; -- crm_activities
SELECT app.audit('crm_activities', patient => 'contact_id');
COMMIT;
