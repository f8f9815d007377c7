"""A run's result in every format people and machines read; the verdict is the same in all."""
