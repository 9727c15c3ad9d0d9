"""Doubts that reviewers settle: what is doubted, who looks at what, what they decide."""
