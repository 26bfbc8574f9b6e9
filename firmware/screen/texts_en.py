"""English. One `key=words` a line, at most 40 characters of words (labels: 10)."""

TEXT = (
    """
booting=Starting up
free=Ready
plugged=Vehicle connected
reading=Waiting for your card
authorising=Checking your card
wait_plug=Card accepted
starting=Starting
charging=Charging
paused=Paused by the vehicle
finished=Charging ended
settling=Settling the payment
receipt=Thank you
declined=Not accepted
out_of_service=Out of service
recovering=Resuming after a power cut
refunding=Refund
day_end=Daily closing
safe_mode=Out of service (service mode)
""",
    """
do_booting=One moment, please
do_free=Plug in or tap your card
do_plugged=Tap your card to start
do_pay=Tap your card or scan the code
do_reading=Hold your card to the reader
do_authorising=Please wait
do_wait_plug=Now plug in the cable
do_starting=Please wait, power comes on
do_charging=Stop: tap the same card or press Stop
do_paused=It goes on when the vehicle asks
do_finished=Please unplug the cable
do_settling=Please wait
do_receipt=Have a good journey
do_receipt_code=Scan the code for your receipt
do_declined=No money was taken
do_out_of_service=Please use another charger
do_recovering=Your payment is being completed
do_refunding=A refund is under way
do_day_end=One moment, please
do_safe_mode=Please use another charger
""",
    """
energy=Energy
power=Power
time=Time
price=Price
rate=Rate
until=until %
left=(% left)
hold=Reserved
paid=Paid
released=Released
refund=Refund
receipt_no=Receipt
card=Card
offline=offline
why_tap=Stopped with the card
why_button=Stop button pressed
why_vehicle=The vehicle has enough
why_unplug=The cable was unplugged
why_remote=Stopped by the operator
why_fault=Stopped by a fault
why_power_cut=Stopped by a power cut
""",
    """
try_another_card=Please try another card
pin_needed=This card needs a PIN: use another card
no_network=No connection to the bank, try later
cancelled=Cancelled or timed out
card_unreadable=Card not readable, please try again
no_card=No card was shown
amount_refused=The bank refused this amount
already_reversed=This payment was already given back
not_possible=The terminal cannot do this now
terminal_off=The card terminal is off
terminal_busy=The terminal is busy, please wait
terminal_error=Card terminal error, please try again
insert_card=Insert or tap your card
remove_card=Please remove your card
please_wait=Please wait
enter_pin=Enter your PIN at the terminal
approved=Payment reserved
""",
    """
hold_reached=The reserved amount is used up
no_tariff=No price is set
clock_unknown=The time is not known yet
emergency=Emergency stop is pressed
meter_lost=The meter does not answer
plug_timeout=No vehicle was plugged in
why_declined=Your bank said no: try another card
other_card=Another card started this session
refund_paid=Refunded to your card
refund_card=Hold the card you paid with
card_not_accepted=This card cannot pay here
hold_too_small=The bank approved too little
contactor_welded=Fault in the power switch
ledger_full=Too many payments wait to be sent
recovery_failed=A session could not be closed
hold_lost=Payment failed, please ask for help
ledger_fault=Memory fault
""",
    """
card_unknown=This card is not known here
card_revoked=This card was blocked
card_expired=This card has expired
tariff_missing=Your tariff is not stored here
list_unreadable=The list of members cannot be read
scheme_not_accepted=This kind of card is not taken here
vehicle_fault=Fault at the plug or the vehicle
reader_off=The card reader is off
members_only=Card terminal off: member cards only
account=On account
limit=Limit
nothing_charged=Nothing was charged
why_jumper=Service jumper is set
why_starts=Starting failed three times
why_config=Configuration cannot be used
why_ledger=Ledger cannot be read
why_ledger_later=Ledger of a later version
why_no_version=No whole program is stored
doctor=Self-test: good
doctor_bad=Self-test: FAULT
do_doctor=Stop: end the self-test
do_doctor_bad=Stop: end the self-test
""",
)
