"""The stitcher: finds whose each touchpoint is and folds it into people and things, exactly once."""
