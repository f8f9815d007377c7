"""What works from here: identity, permissions, clock, endpoints, extras, terminal and folders, each tried for real."""
