"""What every character of a text costs, and who predicted it: for eyes."""
