"""What a teacher sees of the work: who is at it, how far it is, how well people agree."""
