"""Every query of every repository, and the plan that the server has for it."""
