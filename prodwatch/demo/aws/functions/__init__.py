"""Lambda functions with versions, weighted aliases and logging configuration, and their invocation."""
