"""One promise each: `run(site, brand, size)` breaks something, and returns rows of what it saw."""
