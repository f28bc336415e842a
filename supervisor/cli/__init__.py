"""The command line, as far as it needs neither actors nor web. Bad input is one clear line and exit 2."""
