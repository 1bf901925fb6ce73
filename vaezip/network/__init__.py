"""The exact network: contexts, encoder and decoder as integer programs."""
