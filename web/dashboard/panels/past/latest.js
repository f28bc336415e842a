// One question at a time; of those that arrive in the meantime only the last is asked. A user who drags asks for many
// moments and wants the one at the end. Questions that can be added are added instead.

// `answer(question)` → a `Promise` that never rejects. `add(waiting, question)` → one question in place of two, or null
// for no question. → ask(question), busy(), drop()
export function createLatest(answer, add = (_waiting, question) => question) {
  let asking = false;
  /** @type {{question: any} | null} */
  let waiting = null;

  async function ask(question) {
    if (asking) {
      const wanted = waiting ? add(waiting.question, question) : question;
      waiting = wanted && { question: wanted };
      return;
    }
    asking = true;
    waiting = { question };
    while (waiting) {
      const next = waiting;
      waiting = null;
      await answer(next.question);
    }
    asking = false;
  }

  return { ask, busy: () => asking, drop: () => (waiting = null) };
}
