"""`vaezip bench`: sizes and speeds beside other compressors, and where the bits of a text go."""
