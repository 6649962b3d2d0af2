"""The spiders. A source names one; a site that the generic one cannot serve gets a class of its own."""
