"""The teacher's pages of `tttrain quality`: films side by side, phases, sessions; offline."""
