CREATE INDEX CONCURRENTLY patients_search_idx ON patients USING gin ((app.search_words(first_name, last_name, email, phone)));

CREATE INDEX CONCURRENTLY patients_created_at_idx ON patients (created_at);
