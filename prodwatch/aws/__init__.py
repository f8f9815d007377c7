"""Everything about talking to AWS that is not one particular signal: sessions, call budget, cost, error mapping."""
