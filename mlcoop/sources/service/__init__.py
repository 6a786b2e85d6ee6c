"""How any service is asked: cache first, then patient requests within its allowance."""
