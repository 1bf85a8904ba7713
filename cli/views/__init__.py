"""How the commands' documents look to a person."""
