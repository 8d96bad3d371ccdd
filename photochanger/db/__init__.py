"""PostgreSQL for Trio."""
