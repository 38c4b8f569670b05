"""The command line: arguments become one library call, and what comes back is shown."""
