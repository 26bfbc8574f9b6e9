"""A throw-away certificate authority: one certificate for the broker, one per charger. The back
office's is of an authority of its own, so that the broker can tell it from any charger's before
anybody has said a word.

EC P-256 throughout. Each identity is a directory with cert.pem, key.pem, cert.der and key.der; the
authorities' own are ca.pem and office-ca.pem (and .der) in the top directory. The DER files (keys
in RFC 5915 form) are what MicroPython's mbedTLS reads on every board. Keys have mode 0600 and
never leave the directory. What is there and still valid is used again.
"""

from __future__ import annotations

import datetime
import hashlib
import hmac
import ipaddress
import os
import re
import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

BACK_OFFICE = "backoffice"
BROKER = "broker"

_VALID_DAYS = 3650
_RENEW_DAYS = 30
_CA = "ca"
_OFFICE_CA = "office-ca"
_OWN = (BROKER, BACK_OFFICE, _CA, _OFFICE_CA)
_Pair = tuple[x509.Certificate, ec.EllipticCurvePrivateKey]
_Authority = tuple[x509.Certificate, ec.EllipticCurvePrivateKey | None]
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,31}")


class PkiError(Exception):
    """A certificate cannot be made or read; the message says which and why."""


@dataclass(frozen=True)
class Identity:
    """One name's certificate and key, as files."""

    name: str
    folder: Path
    ca: Path

    @property
    def cert(self) -> Path:
        """The certificate as PEM."""
        return self.folder / "cert.pem"

    @property
    def key(self) -> Path:
        """The private key as PEM."""
        return self.folder / "key.pem"

    @property
    def command_key(self) -> str:
        """The charger's key for signed commands, 32 bytes as hex; made at the first request."""
        path = self.folder / "command.key"
        if not path.exists():
            _write_key(path, secrets.token_hex(32).encode())
        return path.read_text()

    def install(self, folder: Path | str) -> None:
        """Put ca.crt, charger.crt and charger.key (all DER) where a charger keeps its files."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(self.ca.with_suffix(".der"), folder / "ca.crt")
        shutil.copyfile(self.folder / "cert.der", folder / "charger.crt")
        _write_key(folder / "charger.key", (self.folder / "key.der").read_bytes())


class Pki:
    """The authority in `folder`, made when it is not there.

    `pki.broker`, `pki.back_office` and `pki.charger(name)` give identities, made at the first
    request.
    """

    def __init__(self, folder: Path | str) -> None:
        """Open or make the authority. Raises PkiError when the directory cannot be used."""
        self.folder = Path(folder)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._own = self._authority(_CA, "Forecourt simulator CA")
            self._office = self._authority(_OFFICE_CA, "Forecourt simulator office CA")
        except OSError as exc:
            raise PkiError(f"certificates in {self.folder}: {exc.strerror}") from exc

    @property
    def ca(self) -> Path:
        """The authority's certificate as PEM: of broker and chargers."""
        return self.folder / f"{_CA}.pem"

    @property
    def office_ca(self) -> Path:
        """Of the authority that has signed nothing but the back office's certificate, as PEM."""
        return self.folder / f"{_OFFICE_CA}.pem"

    @property
    def broker(self) -> Identity:
        """For 127.0.0.1, ::1 and localhost."""
        return self._identity(BROKER, server=True)

    @property
    def back_office(self) -> Identity:
        """The back office's client certificate; it knows the broker by `ca`, as chargers do."""
        return self._identity(BACK_OFFICE)

    @property
    def group(self) -> str:
        """The name under which back office processes share messages. Secret, for the broker lets
        any client into a group whose name it knows; the same as long as the back office's key is.
        """
        key = self.back_office.key.read_bytes()
        return hmac.new(key, b"forecourt-share-1", hashlib.sha256).hexdigest()[:32]

    def charger(self, name: str) -> Identity:
        """A charger's client certificate; its name becomes the broker's user name. Raises PkiError
        for a bad name."""
        if not _NAME.fullmatch(name) or name in _OWN:
            raise PkiError(
                f"charger name {name!r}: 1 to 32 of A-Z a-z 0-9 _ . -, "
                "and not a name of the system's own"
            )
        return self._identity(name)

    def sign(self, request: bytes) -> tuple[str, bytes]:
        """A charger's certificate for a request made elsewhere: (its name, PEM). Raises PkiError
        for a request that its key did not sign, of another kind, or a bad name.
        """
        try:
            csr = x509.load_pem_x509_csr(request)
        except ValueError as exc:
            raise PkiError("this is no certificate request") from exc
        key = csr.public_key()
        if not csr.is_signature_valid or not isinstance(key, ec.EllipticCurvePublicKey):
            raise PkiError("the request is not signed by its own key on an elliptic curve")
        names = [str(n.value) for n in csr.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
        if len(names) != 1 or not _NAME.fullmatch(names[0]) or names[0] in _OWN:
            raise PkiError(f"the request is for {names}, which is no charger's name")
        ca, ca_key = self._signing(self._own)
        builder = _with_usage(_builder(_name(names[0]), ca.subject, key), key, ca_key)
        signed = builder.sign(ca_key, hashes.SHA256())
        return names[0], signed.public_bytes(serialization.Encoding.PEM)

    def command_key_of(self, name: str) -> Path:
        """The file with a charger's key for signed commands, made when it is not there."""
        folder = self.folder / name
        folder.mkdir(parents=True, exist_ok=True)
        identity = Identity(name, folder, self.ca)
        assert identity.command_key
        return folder / "command.key"

    def _identity(self, name: str, server: bool = False) -> Identity:
        folder = self.folder / name
        folder.mkdir(parents=True, exist_ok=True)
        authority = self._office if name == BACK_OFFICE else self._own
        if self._load("cert", "key", folder, authority[0]) is None:
            self._issue(name, folder, server, authority)
        return Identity(name, folder, self.ca)

    def _authority(self, stem: str, name: str) -> _Authority:
        """One whose key is kept elsewhere signs nothing here and is never replaced."""
        found = self._load(stem, f"{stem}-key", self.folder)
        known = self.folder / f"{stem}.pem"
        if found is None and known.is_file() and not (self.folder / f"{stem}-key.pem").is_file():
            try:
                return x509.load_pem_x509_certificate(known.read_bytes()), None
            except ValueError as exc:
                raise PkiError(f"{known}: no certificate") from exc
        return found or self._make_authority(stem, _name(name))

    def _load(
        self, stem: str, key_stem: str, folder: Path, issuer: x509.Certificate | None = None
    ) -> _Pair | None:
        """What is on disk, unless it is missing, broken, about to expire or of another authority
        (None: its own)."""
        try:
            cert = x509.load_pem_x509_certificate((folder / f"{stem}.pem").read_bytes())
            key = serialization.load_pem_private_key(
                (folder / f"{key_stem}.pem").read_bytes(), None
            )
            if (
                not isinstance(key, ec.EllipticCurvePrivateKey)
                or not (folder / f"{stem}.der").is_file()
            ):
                return None
            if cert.not_valid_after_utc < _now() + datetime.timedelta(days=_RENEW_DAYS):
                return None
            cert.verify_directly_issued_by(issuer or cert)
        except (FileNotFoundError, ValueError, TypeError):
            return None
        except Exception as exc:  # noqa: BLE001 - InvalidSignature derives from Exception only
            if type(exc).__name__ != "InvalidSignature":
                raise
            return None
        return cert, key

    def _make_authority(self, stem: str, name: x509.Name) -> _Pair:
        key = ec.generate_private_key(ec.SECP256R1())
        cert = (
            _builder(name, name, key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(ca=True), critical=True)
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
            )
            .sign(key, hashes.SHA256())
        )
        _write_pair(self.folder, stem, f"{stem}-key", cert, key)
        return cert, key

    def _signing(self, authority: _Authority) -> _Pair:
        cert, key = authority
        if key is None:
            who = cert.subject.rfc4514_string()
            raise PkiError(f"{self.folder}: the key of {who} is not here, so nothing is signed")
        return cert, key

    def _issue(self, name: str, folder: Path, server: bool, authority: _Authority) -> None:
        ca, ca_key = self._signing(authority)
        key = ec.generate_private_key(ec.SECP256R1())
        public = key.public_key()
        builder = _builder(_name(name), ca.subject, public)
        builder = _with_usage(builder, public, ca_key, server)
        if server:
            addresses = [
                x509.IPAddress(ipaddress.ip_address(text)) for text in ("127.0.0.1", "::1")
            ]
            names = x509.SubjectAlternativeName([x509.DNSName("localhost"), *addresses])
            builder = builder.add_extension(names, critical=False)
        _write_pair(folder, "cert", "key", builder.sign(ca_key, hashes.SHA256()), key)


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(_now() - datetime.timedelta(days=1))
        .not_valid_after(_now() + datetime.timedelta(days=_VALID_DAYS))
    )


def _with_usage(
    builder: x509.CertificateBuilder,
    subject: ec.EllipticCurvePublicKey,
    issuer: ec.EllipticCurvePrivateKey,
    server: bool = False,
) -> x509.CertificateBuilder:
    """What a client's or a server's certificate says of itself."""
    usage = ExtendedKeyUsageOID.SERVER_AUTH if server else ExtendedKeyUsageOID.CLIENT_AUTH
    return (
        builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(ca=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(subject), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.public_key()),
            critical=False,
        )
    )


def _usage(ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not ca,
        key_cert_sign=ca,
        crl_sign=ca,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _write_pair(
    folder: Path,
    cert_name: str,
    key_name: str,
    cert: x509.Certificate,
    key: ec.EllipticCurvePrivateKey,
) -> None:
    """Both forms of both; the certificate last, because its presence says that the pair is
    whole."""
    form = serialization.PrivateFormat.TraditionalOpenSSL
    none = serialization.NoEncryption()
    _write_key(
        folder / f"{key_name}.pem", key.private_bytes(serialization.Encoding.PEM, form, none)
    )
    if cert_name == "cert":
        _write_key(
            folder / f"{key_name}.der", key.private_bytes(serialization.Encoding.DER, form, none)
        )
    (folder / f"{cert_name}.der").write_bytes(cert.public_bytes(serialization.Encoding.DER))
    (folder / f"{cert_name}.pem").write_bytes(cert.public_bytes(serialization.Encoding.PEM))


def _write_key(path: Path, data: bytes) -> None:
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
