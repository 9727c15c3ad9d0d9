"""What `gpu.py` checks and times: a module per section, each with `run(context)`."""
