"""The models that come with vaezip, each with a card that tells its data, settings and figures."""
