"""The scorer: runs the pain-point detectors, keeps the deadlines, raises alerts."""
