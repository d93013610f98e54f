"""Lists of the REST API as one long answer: NDJSON or CSV, streamed, continued where it was cut."""
