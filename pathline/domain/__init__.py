"""The pure core: people, things, journeys, detectors, alerts. No I/O, no clock, no framework."""
