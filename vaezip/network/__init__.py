"""The exact network: features, encoder and decoder as integer programs."""
