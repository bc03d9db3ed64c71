BEGIN; -- second_factors
DROP TRIGGER IF EXISTS second_factors_record ON public.second_factors;
SELECT app.unguard('second_factors');
SELECT app.lock_away('second_factors');
COMMIT;

-- squawk-ignore ban-drop-function
DROP FUNCTION IF EXISTS app.record_second_factor();
