// Made by ops/catalogue.py from the declarations of the events.
// Panels choose events by these facts, and name no type: a new event needs no edit of a panel.

/**
 * @typedef {object} About
 * @property {string} [entity] the entity that declares it
 * @property {string} [phase] the phase of the entity after it, where that is always the same
 * @property {boolean} [begins] whether it creates the entity
 * @property {boolean} [last] whether it is the last event of its stream
 */

/** @type {Record<string, About>} */
const EVENTS = {
  AlertRaised: { entity: "alert" },
  AlertCleared: { entity: "alert" },
  PicturesSent: { entity: "audit" },
  AccessRefused: { entity: "audit" },
  BundleExported: { entity: "audit" },
  CameraAdded: { entity: "camera", phase: "idle", begins: true },
  CameraChanged: { entity: "camera" },
  CameraRemoved: { entity: "camera", phase: "removed" },
  CameraConnecting: { entity: "camera", phase: "connecting" },
  CameraLive: { entity: "camera", phase: "live" },
  CameraStalled: { entity: "camera", phase: "stalled" },
  CameraIdle: { entity: "camera", phase: "idle" },
  CameraCrashed: { entity: "camera", phase: "waiting" },
  CameraQuarantined: { entity: "camera", phase: "quarantined" },
  CameraWaiting: { entity: "camera", phase: "waiting" },
  CameraFailed: { entity: "camera", phase: "failed" },
  OddityMet: { entity: "camera" },
  CameraRetried: { entity: "camera" },
  ChildStarting: { entity: "child", phase: "starting", begins: true },
  ChildStarted: { entity: "child", phase: "running" },
  ChildStopping: { entity: "child", phase: "stopping" },
  ChildUnkillable: { entity: "child", phase: "unkillable" },
  ChildEnded: { entity: "child", phase: "ended", last: true },
  ChildFound: { entity: "child", phase: "running", begins: true },
  ChildAbandoned: { entity: "child", phase: "ended", last: true },
  ConfigurationApplied: { entity: "configuration" },
  ConfigurationRefused: { entity: "configuration" },
  DetectionMade: { entity: "detection" },
  SuggestionMade: { entity: "detection" },
  SuggestionExtended: { entity: "detection" },
  DeviceFull: { entity: "device" },
  IdentityLinked: { entity: "identity" },
  IdentityUnlinked: { entity: "identity", last: true },
  EventsLost: { entity: "journal" },
  ChainBegan: { entity: "journal" },
  JournalFileSetAside: { entity: "journal" },
  SegmentsRemoved: { entity: "journal" },
  JournalFailed: { entity: "journal" },
  LeaseGranted: { entity: "lease" },
  LeaseEnded: { entity: "lease", last: true },
  LeaseRefused: { entity: "lease" },
  RequestsRefused: { entity: "limits" },
  PasskeyAdded: { entity: "passkey" },
  PasskeyRenamed: { entity: "passkey" },
  PasskeyRemoved: { entity: "passkey" },
  PatrolEnded: { entity: "patrol" },
  PeerOpened: { entity: "peer", phase: "negotiating", begins: true },
  PeerConnected: { entity: "peer", phase: "connected" },
  PeerSilent: { entity: "peer", phase: "silent" },
  PeerHeard: { entity: "peer", phase: "connected" },
  PeerStreamChanged: { entity: "peer" },
  PeerClosing: { entity: "peer", phase: "closing" },
  PeerClosed: { entity: "peer", phase: "closed", last: true },
  PrivacyBegan: { entity: "privacy" },
  PrivacyEnded: { entity: "privacy" },
  RoomOpened: { entity: "room" },
  RoomJoined: { entity: "room" },
  RoomLeft: { entity: "room" },
  RoomClosed: { entity: "room", last: true },
  RunStarted: { entity: "run" },
  RunAbandoned: { entity: "run" },
  RunStopping: { entity: "run" },
  RunEnded: { entity: "run" },
  SessionOpened: { entity: "session" },
  SessionEnded: { entity: "session", last: true },
  LoginFailed: { entity: "session" },
  ShareMade: { entity: "share" },
  ShareEnded: { entity: "share", last: true },
  VisitBegan: { entity: "share" },
  VisitEnded: { entity: "share", last: true },
  CameraQueued: { entity: "slot", phase: "queued" },
  SlotTaken: { entity: "slot" },
  SlotFreed: { entity: "slot" },
  TokenMade: { entity: "token" },
  TokenEnded: { entity: "token", last: true },
  UseBegan: { entity: "use" },
  UseEnded: { entity: "use", last: true },
  UserAdded: { entity: "user" },
  UserChanged: { entity: "user" },
  UserRemoved: { entity: "user", last: true },
  PasswordSet: { entity: "user" },
  TrustEnded: { entity: "user" },
};

const UNKNOWN = Object.freeze({});

// The facts about a type of event; none about one that this page does not know.
/** @type {(type: string) => About} */
export const about = (type) => EVENTS[type] ?? UNKNOWN;
