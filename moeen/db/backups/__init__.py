"""Backups that are proven to restore: one noun a module. `moeen.db.backup` is the door for everybody else."""
