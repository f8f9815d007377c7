"""Check type: SMTP greetings."""
