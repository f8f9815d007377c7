"""AWS findings of `prodwatch doctor`: identity, permissions, clock skew and endpoints, each tested with a real call."""
