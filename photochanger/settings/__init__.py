"""The house's settings: what the environment says, and what administrators change while it runs."""
