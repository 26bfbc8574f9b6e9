"""French. One `key=words` a line, at most 40 characters of words (labels: 10)."""

TEXT = (
    """
booting=Démarrage
free=Disponible
plugged=Véhicule branché
reading=En attente de votre carte
authorising=Vérification de la carte
wait_plug=Carte acceptée
starting=La charge démarre
charging=En charge
paused=En pause (véhicule)
finished=Charge terminée
settling=Règlement en cours
receipt=Merci
declined=Non accepté
out_of_service=Hors service
recovering=Reprise après coupure
refunding=Remboursement
day_end=Clôture du jour
safe_mode=Hors service (maintenance)
""",
    """
do_booting=Un instant
do_free=Branchez ou présentez votre carte
do_plugged=Présentez votre carte pour démarrer
do_pay=Présentez la carte ou scannez le code
do_reading=Approchez votre carte du lecteur
do_authorising=Veuillez patienter
do_wait_plug=Branchez maintenant le câble
do_starting=Veuillez patienter, le courant arrive
do_charging=Arrêt : même carte ou bouton Stop
do_paused=Reprend à la demande du véhicule
do_finished=Débranchez le câble
do_settling=Veuillez patienter
do_receipt=Bonne route
do_receipt_code=Scannez le code pour le reçu
do_declined=Rien n'a été débité
do_out_of_service=Utilisez une autre borne
do_recovering=Votre paiement se termine
do_refunding=Un remboursement est en cours
do_day_end=Un instant, svp
do_safe_mode=Utilisez une autre borne
""",
    """
energy=Énergie
power=Puissance
time=Durée
price=Prix
rate=Tarif
until=jusqu'à %
left=(reste %)
hold=Réservé
paid=Payé
released=Libéré
refund=Remboursé
receipt_no=Reçu
card=Carte
offline=hors ligne
why_tap=Arrêté avec la carte
why_button=Bouton d'arrêt pressé
why_vehicle=Le véhicule est chargé
why_unplug=Le câble a été débranché
why_remote=Arrêté par l'exploitant
why_fault=Arrêté par un défaut
why_power_cut=Arrêté par une coupure de courant
""",
    """
try_another_card=Essayez une autre carte
pin_needed=Code PIN exigé : prenez une autre carte
no_network=Banque injoignable, réessayez plus tard
cancelled=Annulé ou délai dépassé
card_unreadable=Carte illisible, réessayez
no_card=Aucune carte présentée
amount_refused=La banque refuse ce montant
already_reversed=Ce paiement est déjà remboursé
not_possible=Le terminal ne peut pas le faire
terminal_off=Le terminal de paiement est éteint
terminal_busy=Terminal occupé, patientez
terminal_error=Erreur du terminal, réessayez
insert_card=Insérez ou présentez la carte
remove_card=Retirez votre carte
please_wait=Veuillez patienter
enter_pin=Tapez votre code sur le terminal
approved=Paiement réservé
""",
    """
hold_reached=Le montant réservé est épuisé
no_tariff=Aucun prix n'est défini
clock_unknown=L'heure n'est pas encore connue
emergency=L'arrêt d'urgence est pressé
meter_lost=Le compteur ne répond pas
plug_timeout=Aucun véhicule branché
why_declined=Banque refuse : autre carte, svp
other_card=Une autre carte a lancé la charge
refund_paid=Remboursé sur votre carte
refund_card=Présentez la carte qui a payé
card_not_accepted=Cette carte ne peut pas payer ici
hold_too_small=Montant autorisé insuffisant
contactor_welded=Défaut du contacteur
ledger_full=Trop de paiements en attente d'envoi
recovery_failed=Une session est restée ouverte
hold_lost=Paiement impossible, demandez de l'aide
ledger_fault=Défaut de mémoire
""",
    """
card_unknown=Carte inconnue ici
card_revoked=Cette carte a été bloquée
card_expired=Cette carte a expiré
tariff_missing=Votre tarif n'est pas disponible ici
list_unreadable=La liste des membres est illisible
scheme_not_accepted=Ce type de carte n'est pas accepté
vehicle_fault=Défaut de la prise ou du véhicule
reader_off=Le lecteur de cartes est éteint
members_only=Terminal éteint : cartes membres
account=Sur compte
limit=Limite
nothing_charged=Rien n'a été chargé
why_jumper=Cavalier de service en place
why_starts=Trois démarrages ont échoué
why_config=Configuration inutilisable
why_ledger=Mémoire illisible
why_ledger_later=Mémoire d'un firmware plus récent
why_no_version=Aucun programme complet
doctor=Autotest : bon
doctor_bad=Autotest : DÉFAUT
do_doctor=Stop : fin de l'autotest
do_doctor_bad=Stop : fin de l'autotest
""",
)
