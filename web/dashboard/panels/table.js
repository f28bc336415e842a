// The panels of the page, one line each, in the order of the drawer and of the help dialog. A new panel is a folder and
// a line here. The server reads these lines too: it puts the HTML and the style sheets of each folder into the page. It
// leaves out the panels of parts that are off (`parts.NAME: off`).
import "./wall/wall.js";
import "./journal/journal.js";
import "./processes/processes.js";
import "./devices/devices.js";
import "./viewers/viewers.js";
import "./detections/detections.js"; // part: detections
import "./timeline/timeline.js";
import "./recordings/recordings.js";
import "./audit/audit.js";
import "./rooms/rooms.js"; // part: rooms
import "./past/past.js";
import "./arranging/arranging.js";
import "./settings/settings.js";
import "./login/login.js";
import "./provider/provider.js";
import "./account/account.js";
import "./passkeys/passkeys.js";
import "./users/users.js";
import "./tokens/tokens.js";
import "./shares/shares.js";
import "./clip/clip.js";
import "./visit/visit.js";
import "./header/header.js";
import "./help/help.js";
import "./health/health.js";
import "./alerts/alerts.js";
import "./large/large.js";
import "./suggest/suggest.js"; // part: detections

export { PANELS } from "../panel.js";
