"""The words of the pay page in the drivers' languages: English, German, French."""

from __future__ import annotations

from hostsim.backoffice.invoices import texts as invoices

WORDS: dict[str, tuple[str, str, str]] = {
    "title": ("Pay and charge", "Bezahlen und laden", "Payer et recharger"),
    "at": ("Charger", "Ladepunkt", "Borne"),
    "check_charger": (
        "Compare with the name on the charger in front of you.",
        "Bitte mit dem Namen auf dem Ladepunkt vor Ihnen vergleichen.",
        "Comparez avec le nom inscrit sur la borne devant vous.",
    ),
    "price": ("Price", "Preis", "Prix"),
    "hold": ("Reserved on your card", "Auf Ihrer Karte reserviert", "Réservé sur votre carte"),
    "hold_about": (
        "You pay only what you charge. The rest is released as soon as the session ends; charging"
        " stops before this amount is passed.",
        "Sie zahlen nur, was Sie laden. Der Rest wird am Ende sofort freigegeben; das Laden endet,"
        " bevor dieser Betrag überschritten wird.",
        "Vous ne payez que ce que vous rechargez. Le reste est libéré dès la fin ; la charge"
        " s'arrête avant de dépasser ce montant.",
    ),
    "hold_most": (
        "At most, if you charge longer", "Höchstens, wenn Sie länger laden",
        "Au maximum, si vous rechargez plus longtemps",
    ),
    "pay": ("Reserve and start", "Reservieren und starten", "Réserver et démarrer"),
    "method": ("Payment", "Zahlung", "Paiement"),
    "test_form": (
        "Test mode: no real card, no money. Choose what the test bank shall answer.",
        "Testbetrieb: keine echte Karte, kein Geld. Was soll die Testbank antworten?",
        "Mode test : ni vraie carte, ni argent. Choisissez la réponse de la banque de test.",
    ),
    "test_good": ("Test card that pays", "Testkarte, die zahlt", "Carte de test qui paie"),
    "test_declined": (
        "Test card that is declined", "Testkarte, die abgelehnt wird", "Carte de test refusée",
    ),
    "test_confirm": (
        "Test card whose bank asks to confirm", "Testkarte, deren Bank nachfragt",
        "Carte de test à confirmer par la banque",
    ),
    "email": (
        "E-mail for the receipt (only if you want it)",
        "E-Mail für den Beleg (nur wenn gewünscht)",
        "E-mail pour le reçu (facultatif)",
    ),
    "mail_subject": ("Your receipt", "Ihr Beleg", "Votre reçu"),
    "mail_text": (
        "Thank you for charging with us. Your invoice is attached.",
        "Vielen Dank für Ihren Ladevorgang. Ihre Rechnung liegt bei.",
        "Merci pour votre recharge. Votre facture est jointe.",
    ),
    "email_bad": (
        "This is not an e-mail address.", "Das ist keine E-Mail-Adresse.",
        "Ce n'est pas une adresse e-mail.",
    ),
    "script": (
        "The card form needs JavaScript.", "Das Kartenformular braucht JavaScript.",
        "Le formulaire de carte nécessite JavaScript.",
    ),
    # what is wrong before anything is paid
    "code_wrong": (
        "This code is not from this charger. Please scan the one on its screen.",
        "Dieser Code ist nicht von diesem Ladepunkt. Bitte den auf seinem Bildschirm scannen.",
        "Ce code n'est pas celui de cette borne. Scannez celui de son écran.",
    ),
    "code_old": (
        "This code is too old. Please scan the new one on the charger's screen.",
        "Dieser Code ist abgelaufen. Bitte den neuen auf dem Bildschirm des Ladepunkts scannen.",
        "Ce code a expiré. Scannez le nouveau sur l'écran de la borne.",
    ),
    "code_used": (
        "This code was used already. Please scan the new one on the charger's screen.",
        "Dieser Code wurde schon benutzt. Bitte den neuen auf dem Bildschirm scannen.",
        "Ce code a déjà servi. Scannez le nouveau sur l'écran de la borne.",
    ),
    "charger_offline": (
        "The charger cannot be reached just now. Pay at the charger, or try again later.",
        "Der Ladepunkt ist gerade nicht erreichbar. Bitte dort bezahlen oder später versuchen.",
        "La borne est injoignable. Payez à la borne ou réessayez plus tard.",
    ),
    "out_of_service": (
        "The charger is out of service.", "Der Ladepunkt ist außer Betrieb.",
        "La borne est hors service.",
    ),
    "someone_else": (
        "Somebody else has started at this charger.",
        "An diesem Ladepunkt hat gerade jemand anderes begonnen.",
        "Quelqu'un d'autre a démarré à cette borne.",
    ),
    "no_price": (
        "The price of this charger is not known here, so nothing can be sold.",
        "Der Preis dieses Ladepunkts ist hier nicht bekannt, deshalb ist kein Verkauf möglich.",
        "Le prix de cette borne n'est pas connu ici, la vente est impossible.",
    ),
    "no_currency": (
        "Payment by phone is not possible in this currency. Please pay at the charger.",
        "In dieser Währung ist Bezahlen per Telefon nicht möglich. Bitte am Ladepunkt bezahlen.",
        "Le paiement par téléphone n'est pas possible dans cette devise. Payez à la borne.",
    ),
    "no_gateway": (
        "Payment by phone is not possible here.", "Bezahlen per Telefon ist hier nicht möglich.",
        "Le paiement par téléphone n'est pas possible ici.",
    ),
    "nothing_kept": (
        "No money was taken.", "Es wurde kein Geld genommen.", "Aucun montant n'a été prélevé.",
    ),
    "hold_back": (
        "The reservation was given back. No money was taken.",
        "Die Reservierung wurde aufgehoben. Es wurde kein Geld genommen.",
        "La réservation a été annulée. Aucun montant n'a été prélevé.",
    ),
    "hold_going_back": (
        "The reservation is being given back. No money is taken.",
        "Die Reservierung wird aufgehoben. Es wird kein Geld genommen.",
        "La réservation est en cours d'annulation. Aucun montant ne sera prélevé.",
    ),
    # where it stands
    "holding": ("Asking your bank", "Anfrage bei Ihrer Bank", "Demande à votre banque"),
    "action": ("Please confirm the payment", "Bitte die Zahlung bestätigen",
               "Veuillez confirmer le paiement"),
    "confirm": ("Go to your bank", "Zu Ihrer Bank", "Vers votre banque"),
    "declined_title": ("Not paid", "Nicht bezahlt", "Non payé"),
    "held": ("Reserved", "Reserviert", "Réservé"),
    "starting": ("Telling the charger", "Der Ladepunkt wird gestartet", "Démarrage de la borne"),
    "wait_plug": ("Now plug in the cable", "Jetzt bitte das Kabel einstecken",
                  "Branchez le câble maintenant"),
    "charging": ("Charging", "Es wird geladen", "En charge"),
    "paused": ("Paused by the vehicle", "Vom Fahrzeug pausiert", "En pause (véhicule)"),
    "finished": ("Charging ended: please unplug", "Laden beendet: bitte abstecken",
                 "Charge terminée : débranchez"),
    "settling": ("Working out the price", "Der Preis wird abgerechnet", "Calcul du prix"),
    "captured": ("Paid. Thank you!", "Bezahlt. Vielen Dank!", "Payé. Merci !"),
    "cancelled": ("Nothing was charged", "Nichts berechnet", "Rien n'a été facturé"),
    "lost": ("Please ask for help", "Bitte wenden Sie sich an die Hilfe", "Demandez de l'aide"),
    "lost_about": (
        "Your payment could not be completed as it should. The operator knows and will put it"
        " right.",
        "Ihre Zahlung konnte nicht wie vorgesehen abgeschlossen werden. Der Betreiber weiß davon"
        " und bringt es in Ordnung.",
        "Votre paiement n'a pas pu être terminé. L'exploitant est informé et va régler le cas.",
    ),
    "energy": ("Energy", "Energie", "Énergie"),
    "so_far": ("Price so far", "Preis bis jetzt", "Prix actuel"),
    "to_pay": ("To pay", "Zu zahlen", "À payer"),
    "paid_now": ("Paid", "Bezahlt", "Payé"),
    "released": ("Released", "Freigegeben", "Libéré"),
    "power": ("Power", "Leistung", "Puissance"),
    "left": ("Reserved", "Reserviert", "Réservé"),
    "stop": ("Stop charging", "Laden beenden", "Arrêter la charge"),
    "give_up": ("Cancel", "Abbrechen", "Annuler"),
    "stopping": ("Stopping", "Wird beendet", "Arrêt en cours"),
    "stop_about": (
        "You can also press Stop at the charger.",
        "Sie können auch am Ladepunkt Stopp drücken.",
        "Vous pouvez aussi appuyer sur Stop à la borne.",
    ),
    "keep": (
        "Keep this page: it becomes your receipt.",
        "Bitte diese Seite behalten: sie wird Ihr Beleg.",
        "Gardez cette page : elle devient votre reçu.",
    ),
    "renews": ("This page renews itself.", "Diese Seite aktualisiert sich selbst.",
               "Cette page s'actualise."),
    "no_payment": (
        "There is no such payment.", "Diese Zahlung gibt es nicht.", "Ce paiement n'existe pas.",
    ),
    "not_ours": (
        "This form is not ours. Please scan the code again.",
        "Dieses Formular ist nicht von uns. Bitte den Code neu scannen.",
        "Ce formulaire n'est pas le nôtre. Scannez à nouveau le code.",
    ),
    "wrong": ("That did not work", "Das hat nicht geklappt", "Cela n'a pas fonctionné"),
    "no_database": (
        "Please try again in a moment.", "Bitte gleich noch einmal versuchen.",
        "Veuillez réessayer dans un instant.",
    ),
    "refresh": ("Refresh", "Aktualisieren", "Actualiser"),
    "again": ("Try another card", "Andere Karte versuchen", "Essayer une autre carte"),
    "helpline": ("Help", "Hilfe", "Assistance"),
    # why it was not paid or not started
    "declined": (
        "The bank said no to this card.", "Die Bank hat diese Karte abgelehnt.",
        "La banque a refusé cette carte.",
    ),
    "no_funds": (
        "The bank says that the amount is not available.",
        "Laut Bank ist der Betrag nicht verfügbar.", "La banque indique un solde insuffisant.",
    ),
    "card_expired": (
        "This card has expired.", "Diese Karte ist abgelaufen.", "Cette carte a expiré.",
    ),
    "confirm_failed": (
        "The payment was not confirmed.", "Die Zahlung wurde nicht bestätigt.",
        "Le paiement n'a pas été confirmé.",
    ),
    "gateway_refused": (
        "The payment service did not accept this payment.",
        "Der Zahlungsdienst hat diese Zahlung nicht angenommen.",
        "Le service de paiement n'a pas accepté ce paiement.",
    ),
    "gateway_down": (
        "The payment service does not answer. Please pay at the charger.",
        "Der Zahlungsdienst antwortet nicht. Bitte am Ladepunkt bezahlen.",
        "Le service de paiement ne répond pas. Payez à la borne.",
    ),
    "price_changed": (
        "The price has just changed. Please look at the new one before you pay.",
        "Der Preis hat sich gerade geändert. Bitte vor dem Bezahlen den neuen ansehen.",
        "Le prix vient de changer. Regardez le nouveau avant de payer.",
    ),
    "price_moved": (
        "The price changed before the charger started. Scan the code again to see the new one.",
        "Der Preis hat sich vor dem Start geändert. Code neu scannen, um den neuen zu sehen.",
        "Le prix a changé avant le démarrage. Scannez à nouveau le code pour voir le nouveau.",
    ),
    "by_hand": (
        "The operator has ended this payment.", "Der Betreiber hat diese Zahlung beendet.",
        "L'exploitant a mis fin à ce paiement.",
    ),
    "given_up": ("It was cancelled.", "Es wurde abgebrochen.", "Annulé."),
    "plug_timeout": (
        "No vehicle was plugged in.", "Es wurde kein Fahrzeug angeschlossen.",
        "Aucun véhicule n'a été branché.",
    ),
    "not_started": (
        "The charger did not start.", "Der Ladepunkt ist nicht gestartet.",
        "La borne n'a pas démarré.",
    ),
    "nothing_owed": (
        "Nothing was charged, so nothing is owed.",
        "Es wurde nichts geladen, also ist nichts zu zahlen.",
        "Rien n'a été rechargé, rien n'est dû.",
    ),
    "remote": ("Stopped.", "Beendet.", "Arrêté."),
}  # fmt: skip
_ORDER = ("en", "de", "fr")


def word(key: str, language: str) -> str:
    """The word; an invoice's where there is none here."""
    found = WORDS.get(key)
    return found[_ORDER.index(language)] if found else invoices.word(key, language)


def why(key: str, language: str) -> str:
    """A reason; one the words know nothing of is a charger that did not start."""
    return word(key if key in WORDS else "not_started", language)
