"""Short texts as bare payloads, for channels that frame and check what they carry (docs/format.md)."""
