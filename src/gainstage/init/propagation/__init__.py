"""How moments pass through each kind of function; one file a kind."""
