"""What a page of the REST API costs at 100,000 and at 1,000,000 messages: `make bench ONLY=lists`."""
