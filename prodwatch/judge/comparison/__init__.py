"""Statistical comparison of two versions of a function that serve at the same time, or one after the other."""
