"""Pictures and where they are kept."""
