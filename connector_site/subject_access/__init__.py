"""Everything that is held of one consumer, as one answer."""
