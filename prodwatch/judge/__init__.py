"""Statistics and rules that turn arrays of evidence into verdicts; pure."""
