"""Who takes part: accounts, invitations, sessions, apart from the marks so as to be erasable."""
