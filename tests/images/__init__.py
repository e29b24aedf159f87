"""The images, built and run: `make test-images`."""
