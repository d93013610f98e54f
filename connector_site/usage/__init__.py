"""What brands used, month by month, as the REST API tells it."""
