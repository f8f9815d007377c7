"""Access to AWS: sessions, credentials, rate limits, cost and error mapping; independent of any one signal."""
