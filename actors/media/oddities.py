"""Deviations of cameras from the standards, and how banken handles them. Each kind has a name that never changes.

`SourceLoss.meet` counts them; the camera's page, the API and `banken probe` show them.
"""

from enum import Enum


class Oddity(Enum):
    """One kind: its name, what the camera does, and how it is handled."""

    def __init__(self, code: str, does: str, handled: str) -> None:
        self.code, self.does, self.handled = code, does, handled

    # ── RTP ─────────────────────────────────────────────────────────────────────────────────────────────────────
    START_CODES = "start-codes", "start codes inside RTP payloads", "the NAL units are split there"
    EARLY_MARKER = "early-marker", "the marker is set before the last packet of a picture", "its slices are joined"
    MOVING_TIMESTAMP = "moving-timestamp", "the time stamp changes within a picture", "its slices are joined"
    UNKNOWN_UNITS = "unknown-units", "NAL units of unknown or empty types", "only those are left out"
    ODD_FRAGMENTS = "odd-fragments", "fragments that are empty, or have no beginning", "only those are left out"
    PADDED_AGGREGATES = "padded-aggregates", "padding behind aggregated NAL units", "the padding is left out"
    BAD_PARAMETER_SETS = "bad-parameter-sets", "parameter sets that no video can have", "the last good ones are kept"
    HUGE_PICTURE = "huge-picture", "pictures above the limit of bytes or NAL units", "those pictures are left out"
    FOREIGN_SSRC = "foreign-ssrc", "packets of another source on the same channel", "those packets are left out"
    NEW_SSRC = "new-ssrc", "the source identifier (SSRC) changes", "the new one is followed"
    SEQUENCE = "sequence", "sequence numbers that do not count up", "they are counted, and not believed"
    RTCP_CHANNEL = "rtcp-channel", "RTP on the channel or port of RTCP", "it is taken all the same"
    NO_VERSION = "no-version", "RTP packets of version 0", "they are taken over TCP; over UDP they could be others"
    PAYLOAD_TYPE = "payload-type", "packets have another payload type than announced", "they are taken all the same"
    SLOW_PICTURES = (
        "slow-pictures",
        "more than 2 s between two pictures",
        "it counts as stalled after three usual intervals",
    )
    # ── signaling ───────────────────────────────────────────────────────────────────────────────────────────────
    ODD_BASE = "odd-base", "an unusable Content-Base", "it is repaired, or the configured address is used"
    QUERY_CONTROL = "query-control", "a control address that is only a query", "it is appended to the base"
    OTHER_TRACK = "other-track", "SETUP of the first video is refused", "the next usable video is set up"
    HTTP_STATUS = "http-status", "answers with the status line of HTTP", "they are read as RTSP, by their CSeq"
    CSEQ = "cseq", "answers with the CSeq of another request", "answers are taken in order"
    OTHER_SESSION = "other-session", "the second SETUP names another session", "the first one is kept"
    NO_RANGE = "no-range", "PLAY is refused with a Range", "PLAY is repeated without it"
    SILENT_PLAY = "silent-play", "PLAY is not answered, but media comes", "the media counts as the answer"
    NO_OPTIONS = "no-options", "OPTIONS fails", "the conversation begins with DESCRIBE"
    AUDIO_REFUSED = "audio-refused", "the connection ends when audio is set up", "the next attempt leaves audio out"
    ODD_PROTOCOL = "odd-protocol", "an unusual transport name in the description", "it is read as RTP/AVP"
    ODD_PARAMETER_SETS = "odd-parameter-sets", "parameter sets with start codes or bad base64", "they are repaired"
    OTHER_MODE = "other-mode", "a packetization mode that is not sent", "the packets themselves are read"
    OTHER_NUMBER = "other-number", "rtpmap or fmtp name another payload type", "they are read all the same"
    NO_NAME = "no-name", "a payload type without the name of its codec", "its parameters tell the codec"
    CLOCK_RATE = "clock-rate", "a clock rate that the codec does not have", "the usual one is used"
    OTHER_ADDRESS = "other-address", "media from the address that SETUP names as source", "that address is accepted"
    DIGEST = "digest", "the camera offers an algorithm that it does not accept", "another offered one is used"
    HANGS_UP = "hangs-up", "the connection ends after a challenge", "the answer goes to a new connection"
    # ── transport ───────────────────────────────────────────────────────────────────────────────────────────────
    UDP_ONLY = "udp-only", "RTP over TCP is refused", "UDP is tried, and remembered for the device"
    TCP_ONLY = "tcp-only", "RTP over UDP is refused", "TCP is tried"
    OLD_TLS = (
        "old-tls",
        "TLS before 1.2, or a cipher without forward secrecy",
        "it is accepted",
    )
    UNAUTHENTIC = "unauthentic", "encrypted packets that do not fit the keys", "those packets are left out"
    # ── audio ───────────────────────────────────────────────────────────────────────────────────────────────────
    AAC_DEFAULTS = "aac-defaults", "AAC without the sizes of its fields or its configuration", "the usual ones are used"
    ADTS = "adts", "AAC with the headers that files have (ADTS)", "the headers are left out"
    AAC_FRAGMENTS = "aac-fragments", "fragments of AAC that name their own size", "they are joined up to the marker"
