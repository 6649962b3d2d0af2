"""Who uses the service and what they have paid: users, tokens, credits."""
