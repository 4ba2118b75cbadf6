"""``python -m rocminfra`` is the ``rocminfra`` command."""

from rocminfra.runner.cli import main

if __name__ == "__main__":
    main()
