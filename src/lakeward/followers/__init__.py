"""What reads the log from a remembered position and delivers it somewhere."""
