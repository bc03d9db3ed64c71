-- A table of ours that a crash empties.
ALTER TABLE sessions SET UNLOGGED;
