"""What stays on disk: the journal of events, the spool of readings, the local history, and databases."""
