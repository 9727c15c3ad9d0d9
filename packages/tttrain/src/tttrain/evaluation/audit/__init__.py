"""Which labels are probably wrong (specification 5.8): numbers, no files."""
