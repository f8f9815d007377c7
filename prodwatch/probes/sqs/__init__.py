"""Check type: SQS queues."""
