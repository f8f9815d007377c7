"""Lambda functions with versions, weighted aliases and logging configuration, and who invokes them."""
