"""Who marks which video, what he may see, and how well he does on clips of known truth."""
