"""The release: alias weights, CodeDeploy, function code and CloudFormation, combined into events and one state."""
