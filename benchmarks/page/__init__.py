"""The local page from outside: a server started as users start it, a real browser, many clients."""
