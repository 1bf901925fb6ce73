"""The adaptive mixer: what the network says of the next byte, and what the block itself has shown so far."""
