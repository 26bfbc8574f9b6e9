"""German. One `key=words` a line, at most 40 characters of words (labels: 10)."""

TEXT = (
    """
booting=Startet
free=Bereit
plugged=Fahrzeug verbunden
reading=Warte auf Ihre Karte
authorising=Karte wird geprüft
wait_plug=Karte akzeptiert
starting=Ladevorgang startet
charging=Lädt
paused=Pause durch das Fahrzeug
finished=Ladevorgang beendet
settling=Abrechnung läuft
receipt=Vielen Dank
declined=Nicht akzeptiert
out_of_service=Außer Betrieb
recovering=Weiter nach Stromausfall
refunding=Erstattung
day_end=Tagesabschluss
safe_mode=Außer Betrieb (Wartung)
""",
    """
do_booting=Einen Moment bitte
do_free=Einstecken oder Karte vorhalten
do_plugged=Zum Starten Karte vorhalten
do_pay=Karte vorhalten oder Code scannen
do_reading=Karte an den Leser halten
do_authorising=Bitte warten
do_wait_plug=Jetzt das Kabel einstecken
do_starting=Bitte warten, Strom kommt gleich
do_charging=Stopp: gleiche Karte oder Stopptaste
do_paused=Geht weiter, wenn das Fahrzeug anfragt
do_finished=Bitte das Kabel abziehen
do_settling=Bitte warten
do_receipt=Gute Fahrt
do_receipt_code=Code scannen für Ihren Beleg
do_declined=Es wurde nichts abgebucht
do_out_of_service=Bitte andere Ladesäule benutzen
do_recovering=Ihre Zahlung wird abgeschlossen
do_refunding=Eine Erstattung läuft
do_day_end=Einen Moment, bitte
do_safe_mode=Bitte andere Ladesäule benutzen
""",
    """
energy=Energie
power=Leistung
time=Zeit
price=Preis
rate=Tarif
until=bis %
left=(noch %)
hold=Reserviert
paid=Bezahlt
released=Zurück
refund=Erstattung
receipt_no=Beleg
card=Karte
offline=offline
why_tap=Mit der Karte beendet
why_button=Stopptaste gedrückt
why_vehicle=Das Fahrzeug hat genug
why_unplug=Das Kabel wurde abgezogen
why_remote=Vom Betreiber beendet
why_fault=Wegen einer Störung beendet
why_power_cut=Durch Stromausfall beendet
""",
    """
try_another_card=Bitte eine andere Karte benutzen
pin_needed=Karte braucht PIN: bitte andere Karte
no_network=Keine Verbindung zur Bank, bitte später
cancelled=Abgebrochen oder Zeit abgelaufen
card_unreadable=Karte nicht lesbar, bitte nochmal
no_card=Keine Karte vorgehalten
amount_refused=Die Bank lehnt diesen Betrag ab
already_reversed=Diese Zahlung wurde schon erstattet
not_possible=Das Terminal kann das jetzt nicht
terminal_off=Das Kartenterminal ist aus
terminal_busy=Terminal beschäftigt, bitte warten
terminal_error=Terminalfehler, bitte nochmal versuchen
insert_card=Karte stecken oder vorhalten
remove_card=Bitte Karte entnehmen
please_wait=Bitte warten
enter_pin=PIN am Terminal eingeben
approved=Zahlung reserviert
""",
    """
hold_reached=Reservierter Betrag ist aufgebraucht
no_tariff=Es ist kein Preis eingestellt
clock_unknown=Die Uhrzeit ist noch nicht bekannt
emergency=Not-Halt ist gedrückt
meter_lost=Der Zähler antwortet nicht
plug_timeout=Kein Fahrzeug eingesteckt
why_declined=Bank lehnt ab: bitte andere Karte
other_card=Eine andere Karte hat gestartet
refund_paid=Auf Ihre Karte erstattet
refund_card=Karte vorhalten, mit der bezahlt wurde
card_not_accepted=Mit dieser Karte nicht bezahlbar
hold_too_small=Die Bank hat zu wenig freigegeben
contactor_welded=Störung im Leistungsschalter
ledger_full=Zu viele Zahlungen warten auf Versand
recovery_failed=Ein Vorgang ist noch offen
hold_lost=Zahlung fehlgeschlagen, bitte melden
ledger_fault=Speicherfehler
""",
    """
card_unknown=Diese Karte ist hier nicht bekannt
card_revoked=Diese Karte wurde gesperrt
card_expired=Diese Karte ist abgelaufen
tariff_missing=Ihr Tarif ist hier nicht hinterlegt
list_unreadable=Die Kundenliste ist nicht lesbar
scheme_not_accepted=Diese Kartenart wird nicht angenommen
vehicle_fault=Fehler am Stecker oder Fahrzeug
reader_off=Der Kartenleser ist aus
members_only=Terminal aus: nur Kundenkarten
account=Rechnung
limit=Limit
nothing_charged=Es wurde nichts geladen
why_jumper=Servicebrücke ist gesteckt
why_starts=Start ist dreimal misslungen
why_config=Konfiguration unbrauchbar
why_ledger=Speicher nicht lesbar
why_ledger_later=Speicher von neuerer Firmware
why_no_version=Kein vollständiges Programm da
doctor=Selbsttest: gut
doctor_bad=Selbsttest: FEHLER
do_doctor=Stopp beendet den Selbsttest
do_doctor_bad=Stopp beendet den Selbsttest
""",
)
