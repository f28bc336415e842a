"""`banken ca`: the certificate of the local CA, for the devices that are to trust the page."""

import hashlib
import ssl
from pathlib import Path

import click

from .daemon_address import FOLDER, state_in
from .terminal import clean, fail, say
from .trust import CA

INSTALL = """\
Compare this fingerprint on each device before it trusts the CA. It may sign for this machine's names and for private
networks only. Save the certificate (banken ca > banken.crt), and bring the file to the device:

  Android         Settings > Security > Encryption & credentials > Install a certificate > CA certificate.
  iPhone, iPad    Open the file. Settings > Profile Downloaded > Install.
                  Settings > General > About > Certificate Trust Settings: turn it on.
  Windows         Open the file. Install Certificate > Local Machine > Trusted Root Certification Authorities.
  macOS           Open the file. Keychain Access > System > Always Trust.
  Firefox         Settings > Privacy & Security > View Certificates > Authorities > Import.
  Chromium        Settings > Privacy and security > Security > Manage certificates > Import.
  Debian          Copy the file to /usr/local/share/ca-certificates/ and run update-ca-certificates."""


@click.command()
@click.option(
    "--state",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="The state folder [default: state.path of the configuration].",
)
@click.option(
    "--config", envvar="BANKEN_CONFIG", type=click.Path(path_type=Path), default=Path("banken.yaml"),
    show_default=True, metavar="FILE", help="The configuration that names the state folder, or $BANKEN_CONFIG.",
)  # fmt: skip
def ca(state: Path | None, config: Path) -> None:
    """Print the certificate of the local CA, and how to install it on devices.

    The certificate is printed as PEM; its fingerprint and the steps go to stderr. Exit 2: this machine has no CA.
    """
    path = (state or state_in(config, FOLDER)) / CA
    try:
        text = path.read_text("ascii")
        data = ssl.PEM_cert_to_DER_cert(text.strip())
    except FileNotFoundError:
        fail(f"there is no {path}; the daemon makes it when it listens beyond loopback with web.tls: auto")
    except OSError as error:
        fail(f"{path}: cannot be read: {error.strerror}; run the command as the user of the daemon")
    except ValueError:
        fail(f"{path}: holds no certificate in PEM; see the alerts of the daemon")
    say(text.strip())
    say(f"\nSHA-256 fingerprint of {clean(str(path))}:\n{hashlib.sha256(data).digest().hex(':').upper()}\n", err=True)
    say(INSTALL, err=True)
