"""AWS's wire protocols from the server's side, driven by the models inside botocore."""
