-- A key that other generations of the platform kept as text.
ALTER TABLE insurance_claims ALTER id DROP DEFAULT;
ALTER TABLE insurance_claims ALTER id TYPE text;
