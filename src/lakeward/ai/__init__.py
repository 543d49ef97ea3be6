"""AI conversations: how a turn becomes a record, whichever way it was captured."""
