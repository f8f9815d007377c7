"""Fakes users and our own tests share: a clock that obeys, scripted AWS, builders."""
