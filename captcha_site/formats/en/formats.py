"""How moments are written where Django does it, which is the admin: as on the pages of the site."""

DATETIME_FORMAT = "Y-m-d H:i e"
DATE_FORMAT = "Y-m-d"
TIME_FORMAT = "H:i"
