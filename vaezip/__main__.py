"""`python -m vaezip`."""

from vaezip.cli import main

if __name__ == "__main__":
    main()
