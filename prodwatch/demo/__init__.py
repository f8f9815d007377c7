"""The demo: an embedded AWS, a shop that runs on it, and staged releases."""
