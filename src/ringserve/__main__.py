"""Makes `python -m ringserve` the same as `ringserve`."""

from ringserve.cli import main

if __name__ == "__main__":
    main()
