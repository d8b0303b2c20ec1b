"""``python -m gainstage`` is ``gainstage``."""

from gainstage.cli import main

if __name__ == "__main__":
    main()
