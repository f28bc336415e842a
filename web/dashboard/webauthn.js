// Passkeys in this browser (WebAuthn). Rules of this file:
// 1. The server decides. The bytes of the browser are sent as they are, in base64.
// 2. Browsers do not disclose whether a passkey was missing or the user has cancelled; the texts name both.
import { send } from "./forms.js";
import { t } from "./i18n.js";

const TIMEOUT_MS = 300_000; // as long as the server takes the answer
const ADDRESS = /^(\d+\.){3}\d+$|^\[/;

// Why there can be no passkeys here; empty: there can be some. Pure, but for the words.
/** @param {{secure: boolean, host: string, known: boolean, framed: boolean}} page */
export function whyNoPasskeys({ secure, host, known, framed }) {
  if (ADDRESS.test(host)) return t("Passkeys need a name: open banken by a name instead of an address.");
  if (!secure) return t("Passkeys need an encrypted connection: open banken with https.");
  if (framed) return t("Passkeys do not work in a frame of another site: open banken in its own window.");
  return known ? "" : t("This browser has no passkeys.");
}

export const whyNoneHere = () =>
  whyNoPasskeys({
    secure: isSecureContext,
    host: location.hostname,
    known: "PublicKeyCredential" in window,
    framed: isInForeignFrame(),
  });

function isInForeignFrame() {
  try {
    return window.top?.location.origin !== location.origin;
  } catch {
    return true; // the browser does not disclose it
  }
}

// Pure.
export const toBytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
export const toText = (bytes) => btoa(String.fromCharCode(...new Uint8Array(bytes)));

// Whether passkeys can be suggested in the field for the name.
export async function canSuggest() {
  const known = /** @type {any} */ (window).PublicKeyCredential;
  return !whyNoneHere() && Boolean(await known?.isConditionalMediationAvailable?.().catch(() => false));
}

// Logs in by a passkey that the user chooses; raises what the browser or the server says. `suggest`: in the field for
// the name, without a dialog.
/** @param {string} base @param {{signal: AbortSignal, suggest?: boolean}} options */
export async function logIn(base, { signal, suggest = false }) {
  const { challenge, rp } = await send(new URL("api/session/passkey/begin", base), "POST");
  if (signal.aborted) throw signal.reason;
  const publicKey = { challenge: toBytes(challenge), rpId: rp, userVerification: "required", timeout: TIMEOUT_MS };
  const mediation = suggest ? "conditional" : "optional";
  const chosen = await credentials().get({ publicKey, signal, mediation });
  const { clientDataJSON, authenticatorData, signature, userHandle } = chosen.response;
  await send(new URL("api/session/passkey/finish", base), "POST", {
    credential: toText(chosen.rawId),
    client_data: toText(clientDataJSON),
    authenticator_data: toText(authenticatorData),
    signature: toText(signature),
    user_handle: toText(userHandle),
  });
}

// Makes a passkey and adds it, with this label. `password`: of the user, or empty. → the passkey. Raises as `logIn`.
export async function addPasskey(base, label, password) {
  const asked = await send(new URL("api/passkey/begin", base), "POST", { password });
  const made = await credentials().create({
    publicKey: {
      challenge: toBytes(asked.challenge),
      rp: { id: asked.rp, name: "banken" },
      user: { id: toBytes(asked.user_handle), name: asked.user, displayName: asked.user },
      pubKeyCredParams: asked.algorithms.map((alg) => ({ type: "public-key", alg })),
      excludeCredentials: asked.known.map(({ credential, transports }) => ({
        type: "public-key",
        id: toBytes(credential),
        transports,
      })),
      authenticatorSelection: { residentKey: "required", requireResidentKey: true, userVerification: "required" },
      attestation: "none",
      timeout: TIMEOUT_MS,
    },
  });
  const { clientDataJSON, attestationObject } = made.response;
  return send(new URL("api/passkey/finish", base), "POST", {
    client_data: toText(clientDataJSON),
    attestation: toText(attestationObject),
    transports: made.response.getTransports?.() ?? [],
    label,
  });
}

/** @type {() => any} TypeScript 4.8 knows a part of it only. */
const credentials = () => navigator.credentials;

// The words for an error of the browser; empty for an error of the server.
/** @param {any} error @param {string} cancelled */
export function browserProblem(error, cancelled) {
  if (!(error instanceof DOMException)) return "";
  if (error.name === "InvalidStateError") return t("This device has a passkey for you already.");
  if (error.name === "SecurityError") return t("The browser gives no passkeys to this address.");
  if (error.name === "NotSupportedError" || error.name === "ConstraintError")
    return t("This device cannot make passkeys: it must verify you by a fingerprint, your face or a PIN.");
  return cancelled;
}
