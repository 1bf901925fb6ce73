"""Training and export: the only part of vaezip that needs PyTorch."""
