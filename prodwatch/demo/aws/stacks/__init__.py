"""Scripted events over the CloudFormation stacks that moto holds."""
