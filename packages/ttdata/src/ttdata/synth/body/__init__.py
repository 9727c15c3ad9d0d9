"""The body of a player: its joints in space, its picture."""
