"""Weights of a network where they begin, and how those of its class head are tied."""
