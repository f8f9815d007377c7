"""AWS access of a project: the calls its files need, the IAM policy for them, and the doctor's questions."""
