"""Session files: the evidence of one session in a compressed, redacted file, whose frames form a hash chain."""
