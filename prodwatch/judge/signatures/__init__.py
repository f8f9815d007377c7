"""Error signatures: log lines of one kind have one, whatever ids, numbers and names they carry."""
