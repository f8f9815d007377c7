"""Check type: DynamoDB items."""
