"""A stand-in for production: an embedded AWS, a shop on it, and staged releases."""
