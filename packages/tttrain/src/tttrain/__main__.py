"""`python -m tttrain` is the same program as `tttrain`."""

from tttrain.cli import main

if __name__ == "__main__":
    main()
