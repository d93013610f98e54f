"""Jobs over many rows: sent again, dropped or applied again, one by one, by the workers, with a preview first."""
