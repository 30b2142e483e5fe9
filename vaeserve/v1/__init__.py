"""Generated from proto/vae/v1 by `make proto`; never edited by hand."""
