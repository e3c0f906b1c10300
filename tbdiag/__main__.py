"""``python -m tbdiag``."""

from tbdiag.cli import main

if __name__ == "__main__":
    main()
