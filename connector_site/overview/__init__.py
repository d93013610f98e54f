"""The first page of the admin: what needs somebody now, and what happened in a time range."""
