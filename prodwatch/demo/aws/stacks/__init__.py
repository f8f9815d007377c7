"""Scripted events of the CloudFormation stacks in moto."""
