"""Sending Segment calls to a collector: what `pathline import` and the demo share."""
