"""A small supervision library for Trio."""
