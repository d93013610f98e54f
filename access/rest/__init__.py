"""What every list of the REST API shares: keys, errors of one shape, strict parameters, paging, limits by brand."""
