"""The project's database backend: Django's PostgreSQL one, which starts the embedded server when it is
needed."""
