"""What takes minutes: `make soak`. Never a part of `make test`, whose files have other names."""
