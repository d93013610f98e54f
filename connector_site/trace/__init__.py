"""One message end to end: what brought it, what was sent for it, what came back. Facts only, no words."""
