"""The AWS half of `prodwatch doctor`: identity, permissions, clock skew and endpoints, each tried with a real call."""
