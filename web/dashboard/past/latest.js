// One question at a time, and of those that come meanwhile only the last: whoever drags asks for many moments and wants
// the one he stops at.

// `answer(question)` returns a promise that never fails. → ask(question), busy(), drop()
export function createLatest(answer) {
  let asking = false;
  let waiting = null;

  async function ask(question) {
    if (asking) {
      waiting = { question };
      return;
    }
    asking = true;
    for (let next = { question }; next; ) {
      waiting = null;
      await answer(next.question);
      next = waiting;
    }
    asking = false;
  }

  return { ask, busy: () => asking, drop: () => (waiting = null) };
}
