"""What commands take where nothing else is said; light to import."""

CHARGER_ID = "FC-0001"
