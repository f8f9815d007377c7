"""The release itself: alias weights, CodeDeploy and CloudFormation as one time line and one state."""
