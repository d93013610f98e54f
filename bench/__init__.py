"""The performance kit: `make bench`. Ratios in one run against floors, medians, printed as a table and kept as JSON."""
