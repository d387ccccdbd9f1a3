"""The same file through the same detectors in event time: the pure core under a simulated clock, no servers."""
