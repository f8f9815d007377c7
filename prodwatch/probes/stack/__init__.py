"""Check type: CloudFormation stacks."""
