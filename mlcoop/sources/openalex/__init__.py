"""OpenAlex: works of pairs, of institutions and of a whole snapshot."""
