"""The demo: a small shop whose customers arrive, buy, wait and complain, and a page to be one of them."""
