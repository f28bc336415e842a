// The participants of the room as the server lists them, and whom to call or to hang up on as a result. Pure.
//
// Of any two participants the later one calls, so that two never call each other at once.

export const NOWHERE = Object.freeze({ room: null, self: null, participants: [] });

// → {seat, call, hang}: the ids of those to call now, and of those who have left.
export function step(seat, message) {
  switch (message.type) {
    case "RoomCreated":
      return { seat: { room: message.room_id, self: message.self_id, participants: [] }, call: [], hang: [] };
    case "PeerConnected":
      // The first message names this participant.
      return { seat: seat.self === null ? { ...seat, self: message.participant_id } : seat, call: [], hang: [] };
    case "RoomParticipants": {
      const others = message.participants.filter((id) => id !== seat.self);
      const isFirst = seat.participants.length === 0;
      const hang = seat.participants.filter((id) => !message.participants.includes(id));
      return {
        seat: { ...seat, room: message.room_id, participants: message.participants },
        call: isFirst ? others : [],
        hang,
      };
    }
    case "PeerDisconnected":
      return { seat, call: [], hang: [message.participant_id] };
    default:
      return { seat, call: [], hang: [] };
  }
}
