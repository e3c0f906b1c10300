"""One file a framework: the tags that it logs and what it did to their values. Adding a framework is adding a file with a ``CONVENTION``."""
