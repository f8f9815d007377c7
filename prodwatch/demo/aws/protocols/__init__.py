"""AWS's wire protocols on the server side, driven by botocore's service models."""
