-- Before it, 0004_rls.sql says again who may see and do what.
SELECT app.unguard('patients doctors appointments sessions insurance_claims');
DROP FUNCTION IF EXISTS app.link_sign_in(text, uuid, uuid);
DROP FUNCTION IF EXISTS app.stamp_person();
