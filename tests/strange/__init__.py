"""Databases with things of a clinic's own in them: written down (cases.toml), or put together (grammar.toml)."""
