"""`pathline up`: one foreground process that starts, watches and ends everything Pathline needs on one machine."""
