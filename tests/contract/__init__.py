"""
The official SDK, run against the emulator.

If a client that we did not write reads the emulator as it reads the service, then the
emulator is worth testing ours against. Where that client misreads something, a test
says so: it is what ours must not do.
"""
