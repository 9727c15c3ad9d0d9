"""From crowd annotations to actions, negatives and clips."""
