"""`vaezip map`: files by how much each says about the others."""
