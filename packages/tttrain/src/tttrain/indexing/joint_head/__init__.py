"""The joint head: its training on features of whole videos, its strokes (specification 6.10)."""
