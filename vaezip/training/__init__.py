"""Training and quantisation: the only part of vaezip that needs PyTorch."""
