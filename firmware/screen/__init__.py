"""What the driver reads: words in the driver's language, laid out for the display the board
has.
"""
