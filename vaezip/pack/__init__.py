"""Many records in one file, each of which can be read alone (docs/format.md, "Packs")."""
