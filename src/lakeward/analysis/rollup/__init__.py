"""Roll-ups: hours and days counted once, so that a question need not count them again."""
