"""Texts of one kind, which a model reads before it codes another: made, stored, found (docs/format.md)."""
