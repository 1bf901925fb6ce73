"""`vaezip show`: the cost of every character of a text, and who predicted it."""
