CREATE INDEX CONCURRENTLY users_search_idx ON users USING gin ((app.search_words(name, NULL, email, phone)));
