"""One search over everything: by a person's id on a channel, or by an id that LivePerson, a channel or we gave."""
