"""One promise each: `run(site, brands, seed, size)` breaks something, and returns rows of what it saw."""
