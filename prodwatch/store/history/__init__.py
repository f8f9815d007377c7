"""Past runs on disk, one SQLite file per project; imported only by the front ends that write or read it."""
