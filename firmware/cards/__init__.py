"""Who may charge: bank cards by kind, members by their list, and the RFID reader."""
