-- A dashboard's template for a first policy, left on two tables: no TO, so for everybody.
ALTER TABLE patients ENABLE ROW LEVEL SECURITY;
ALTER TABLE sessions ENABLE ROW LEVEL SECURITY;
CREATE POLICY "Read access for all" ON patients FOR SELECT USING (true);
CREATE POLICY "Everything for all" ON sessions USING (true) WITH CHECK (true);
