"""PostgreSQL as Django knows it, for callers who cannot wait for an answer that never comes."""
