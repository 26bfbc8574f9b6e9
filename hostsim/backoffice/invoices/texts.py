"""The words of invoices in the drivers' languages, and how each language writes figures."""

from __future__ import annotations

import datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from hostsim.backoffice import figures

LANGUAGES = {"en": "English", "de": "Deutsch", "fr": "Français"}
_SEPARATORS = {"en": (",", "."), "de": (".", ","), "fr": ("\u00a0", ",")}  # thousands, decimal
_DATES = {"en": "%d %b %Y, %H:%M", "de": "%d.%m.%Y, %H:%M", "fr": "%d/%m/%Y, %H:%M"}

WORDS: dict[str, tuple[str, str, str]] = {
    "invoice": ("Invoice", "Rechnung", "Facture"),
    "credit_note": ("Credit note", "Gutschrift", "Avoir"),
    "invoice_on_account": (
        "Session statement (monthly invoice follows)", "Ladebeleg (Monatsrechnung folgt)",
        "Relevé de recharge (facture mensuelle à suivre)",
    ),
    "credit_note_on_account": (
        "Credit on account", "Gutschrift auf das Konto", "Avoir sur le compte",
    ),
    "number": ("Number", "Nummer", "Numéro"),
    "date": ("Date", "Datum", "Date"),
    "vat_id": ("VAT number", "USt-IdNr.", "N° TVA"),
    "receipt": ("Receipt", "Beleg", "Reçu"),
    "original": ("To invoice", "Zu Rechnung", "Sur la facture"),
    "charger": ("Charger", "Ladepunkt", "Borne"),
    "connector": ("connector", "Anschluss", "connecteur"),
    "start": ("Start", "Beginn", "Début"),
    "end": ("End", "Ende", "Fin"),
    "duration": ("Duration", "Dauer", "Durée"),
    "meter": ("Meter", "Zähler", "Compteur"),
    "register_start": ("Register at start", "Zählerstand Beginn", "Index de début"),
    "register_end": ("Register at end", "Zählerstand Ende", "Index de fin"),
    "energy": ("Energy", "Energie", "Énergie"),
    "what": ("What", "Leistung", "Prestation"),
    "quantity": ("Quantity", "Menge", "Quantité"),
    "price": ("Unit price", "Einzelpreis", "Prix unitaire"),
    "vat": ("VAT", "USt", "TVA"),
    "amount": ("Amount", "Betrag", "Montant"),
    "total": ("Total, VAT included", "Gesamt inkl. USt", "Total TTC"),
    "total_back": ("Given back, VAT included", "Erstattet inkl. USt", "Remboursé TTC"),
    "total_on_account": (
        "On account (VAT: monthly invoice)", "Auf Rechnung (USt: Monatsrechnung)",
        "Sur compte (TVA : facture mensuelle)",
    ),
    "total_back_on_account": (
        "Credited (VAT: monthly invoice)", "Gutgeschrieben (USt: Monatsrechnung)",
        "Crédité (TVA : facture mensuelle)",
    ),
    "original_on_account": ("To statement", "Zu Ladebeleg", "Sur le relevé"),
    "net": ("Net", "Netto", "HT"),
    "tax": ("VAT", "USt", "TVA"),
    "gross": ("Gross", "Brutto", "TTC"),
    "rate": ("Rate", "Satz", "Taux"),
    "card": ("Card", "Karte", "Carte"),
    "auth_code": ("Authorisation code", "Genehmigungsnummer", "Code d'autorisation"),
    "terminal": ("Terminal", "Terminal", "Terminal"),
    "terminal_receipt": ("receipt", "Beleg", "ticket"),
    "trace": ("trace", "Trace", "trace"),
    "paid": ("Paid by card", "Mit Karte bezahlt", "Payé par carte"),
    "paid_by": ("Payment", "Zahlung", "Paiement"),
    "paid_gateway": ("online", "online", "en ligne"),
    "paid_app": ("app", "App", "application"),
    "paid_account": ("on account", "auf Rechnung", "sur compte"),
    "paid_rfid": ("on account", "auf Rechnung", "sur compte"),
    "helpline": ("Help", "Hilfe", "Assistance"),
    "reason": ("Reason", "Grund", "Motif"),
    "reason_goodwill": ("Goodwill", "Kulanz", "Geste commercial"),
    "reason_fault": ("Fault of the charger", "Störung des Ladepunkts", "Panne de la borne"),
    "reason_not_delivered": ("Not delivered", "Nicht geliefert", "Non livré"),
    "reason_price": ("Wrong price", "Falscher Preis", "Prix erroné"),
    "reason_duplicate": ("Paid twice", "Doppelt bezahlt", "Payé deux fois"),
    "reason_fraud": ("Misuse of the card", "Missbrauch der Karte", "Utilisation frauduleuse"),
    "reason_above_price": (
        "Taken above the price", "Mehr als der Preis abgebucht", "Débité au-delà du prix",
    ),
    "reason_other": ("Other", "Sonstiges", "Autre"),
    "way": ("Paid back by", "Erstattung über", "Remboursé par"),
    "way_reversal": (
        "reversal at the card terminal", "Storno am Kartenterminal",
        "annulation au terminal de paiement",
    ),
    "way_card": ("credit to the card", "Gutschrift auf die Karte", "crédit sur la carte"),
    "way_acquirer": ("your card's bank", "die Bank Ihrer Karte", "la banque de votre carte"),
    "way_gateway": ("the online payment", "die Online-Zahlung", "le paiement en ligne"),
    "way_account": ("the monthly account", "das Monatskonto", "le compte mensuel"),
    "online": (
        "This document online", "Dieses Dokument online", "Ce document en ligne",
    ),
    "pdf": ("As PDF", "Als PDF", "En PDF"),
    "unknown": ("not known", "nicht bekannt", "inconnu"),
    "ENERGY": ("Energy", "Energie", "Énergie"),
    "TIME": ("Charging time", "Ladezeit", "Temps de charge"),
    "PARKING_TIME": ("Occupancy", "Standzeit", "Occupation"),
    "FLAT": ("Session fee", "Grundgebühr", "Forfait"),
    "RESERVATION_TIME": ("Reservation time", "Reservierungszeit", "Temps de réservation"),
    "RESERVATION_FLAT": ("Reservation", "Reservierung", "Réservation"),
    "RESERVATION_EXPIRED_TIME": (
        "Expired reservation time", "Verfallene Reservierungszeit", "Réservation expirée (temps)",
    ),
    "RESERVATION_EXPIRED_FLAT": (
        "Expired reservation", "Verfallene Reservierung", "Réservation expirée",
    ),
    "CAP": ("Cap", "Deckelung", "Plafond"),
    "MAX_PRICE": ("Price limit", "Höchstpreis", "Prix maximal"),
    "MIN_PRICE": ("Minimum price", "Mindestpreis", "Prix minimal"),
    "WAIVED": ("Waived after a fault", "Nach Störung erlassen", "Offert après une panne"),
    "find": ("Find your invoice", "Ihre Rechnung finden", "Trouver votre facture"),
    "find_number": (
        "Receipt number, for example FC-0001-12",
        "Belegnummer, zum Beispiel FC-0001-12",
        "Numéro du reçu, par exemple FC-0001-12",
    ),
    "find_amount": ("Amount paid, for example 12.30", "Bezahlter Betrag, zum Beispiel 12,30",
                    "Montant payé, par exemple 12,30"),
    "find_button": ("Find", "Suchen", "Chercher"),
    "find_none": (
        "No receipt has this number and amount. A receipt of just now may need a minute.",
        "Kein Beleg mit dieser Nummer und diesem Betrag. Ein neuer Beleg braucht eine Minute.",
        "Aucun reçu avec ce numéro et ce montant. Un reçu récent peut demander une minute.",
    ),
    "find_bad_number": (
        "The number must look like FC-0001-12.",
        "Die Nummer muss aussehen wie FC-0001-12.",
        "Le numéro doit ressembler à FC-0001-12.",
    ),
    "find_bad_amount": (
        "The amount must be a number such as 12.30.",
        "Der Betrag muss eine Zahl sein wie 12,30.",
        "Le montant doit être un nombre comme 12,30.",
    ),
    "when": ("When did you charge?", "Wann haben Sie geladen?", "Quand avez-vous rechargé ?"),
    "when_why": (
        "Several receipts have this number and amount. Give a time between start and end.",
        "Mehrere Belege haben diese Nummer und diesen Betrag. Nennen Sie eine Zeit zwischen Beginn"
        " und Ende.",
        "Plusieurs reçus ont ce numéro et ce montant. Indiquez une heure entre le début et la"
        " fin.",
    ),
    "when_day": ("Day", "Tag", "Jour"),
    "when_time": ("Time", "Uhrzeit", "Heure"),
    "when_none": (
        "None of them was then. Please ask the helpline.",
        "Keiner davon war dann. Bitte fragen Sie die Hilfe.",
        "Aucun à ce moment. Veuillez contacter l'assistance.",
    ),
    "wait": (
        "Too many tries. Please wait a minute.",
        "Zu viele Versuche. Bitte warten Sie eine Minute.",
        "Trop d'essais. Veuillez patienter une minute.",
    ),
    "refunds": ("Refunds", "Erstattungen", "Remboursements"),
    "refund_requested": ("being looked at", "in Prüfung", "en examen"),
    "refund_approved": ("under way", "in Arbeit", "en cours"),
    "refund_sent": (
        "on its way by your bank", "unterwegs über Ihre Bank", "en cours par votre banque",
    ),
    "refund_done": ("paid back", "erstattet", "remboursé"),
    "refund_refused": ("not granted", "nicht gewährt", "non accordé"),
    "refund_failed": ("not possible", "nicht möglich", "pas possible"),
    "not_yet": (
        "This receipt is not here yet. Please try again in a minute.",
        "Dieser Beleg ist noch nicht da. Bitte in einer Minute noch einmal versuchen.",
        "Ce reçu n'est pas encore arrivé. Veuillez réessayer dans une minute.",
    ),
}  # fmt: skip
_ORDER = ("en", "de", "fr")


def word(key: str, language: str) -> str:
    """The word, or the key itself where there is none."""
    found = WORDS.get(key)
    return found[_ORDER.index(language)] if found else key


def coded(kind: str, code: str, language: str) -> str:
    """The word for a reason's or way's code; a code that is none of these as it is."""
    found = word(f"{kind}_{code}", language)
    return code.replace("_", " ") if found == f"{kind}_{code}" else found


def choose(*wishes: str) -> str:
    """The first of these languages (codes or Accept-Language headers) that is spoken here."""
    for wish in wishes:
        for part in wish.split(","):
            code = part.split(";")[0].strip()[:2].lower()
            if code in LANGUAGES:
                return code
    return "en"


def decimal(value: Decimal, language: str) -> str:
    """1,234.56 / 1.234,56 / 1 234,56"""
    thousands, point = _SEPARATORS[language]
    return f"{value:,f}".replace(",", "\0").replace(".", point).replace("\0", thousands)


def money(minor: int, currency: str, language: str) -> str:
    """12.30 € in that language's figures."""
    return f"{decimal(figures.amount(minor, currency), language)} {figures.symbol(currency)}"


def kwh(wh: int, language: str) -> str:
    """12.345 kWh in that language's figures."""
    return f"{decimal(Decimal(wh).scaleb(-3), language)} kWh"


def moment(epoch_ms: int, zone: str, language: str) -> str:
    """A local date and time."""
    return _local(epoch_ms, zone, _DATES[language] + ":%S") or word("unknown", language)


def minute(epoch_ms: int, zone: str, language: str) -> str:
    """A local date and time without seconds; "" for none."""
    return _local(epoch_ms, zone, _DATES[language])


def day(epoch_ms: int, zone: str, language: str) -> str:
    """A local date; "" for none."""
    return _local(epoch_ms, zone, _DATES[language].partition(",")[0])


def _local(epoch_ms: int, zone: str, pattern: str) -> str:
    at = datetime.datetime.fromtimestamp(epoch_ms // 1000, ZoneInfo(zone))
    return at.strftime(pattern) if epoch_ms else ""
