"""AI conversations: one record a turn, however it was asked and however it ended."""
