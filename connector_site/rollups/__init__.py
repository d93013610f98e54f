"""
What happened, brand by brand and source by source, hour by hour: the figures of the dashboard.

A source is an app installation or a channel. Rows are counted once, by walks that go through them in the order of time;
a chart adds up counts and never the rows themselves.
"""
