"""`python -m ecg`: the command line, where `ecg` is not installed."""

from ecg.cli.main import main

if __name__ == "__main__":
    main()
