-- The older version knows no such report.
BEGIN; -- operator_reports
DELETE FROM public.operator_reports WHERE kind = 'rehearsal';
-- squawk-ignore ban-drop-constraint
ALTER TABLE public.operator_reports DROP CONSTRAINT IF EXISTS operator_reports_kind_check;
ALTER TABLE public.operator_reports ADD CONSTRAINT operator_reports_kind_check
    CHECK (kind IN ('doctor', 'validation')) NOT VALID;
COMMIT;
BEGIN; -- operator_reports
ALTER TABLE public.operator_reports VALIDATE CONSTRAINT operator_reports_kind_check;
COMMIT;
