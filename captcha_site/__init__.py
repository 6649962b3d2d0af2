"""The project that joins the apps: settings, URLs, and the pages that belong to no single app."""
