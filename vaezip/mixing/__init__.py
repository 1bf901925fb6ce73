"""The adaptive mixer: the network's predictions mixed with statistics of the block so far."""
