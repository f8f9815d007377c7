"""The assertion language: parse, print, evaluate, explain; pure, never raising while it evaluates."""
