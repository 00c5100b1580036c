// ---- answers on their way: sent one after another, tried again until they are kept, never forgotten silently

const saving = { waiting: [], busy: false, wait: 0 };
const FIRST_WAIT = 500;
const LONGEST_WAIT = 15000;

class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

// The server is there and can't keep anything now, as when its disk is full; it says why.
class NotNow extends Error {}

// What the server says; a Refused for an answer that no second try would change, another error for what passes.
async function asked(path, body, method = 'POST') {
  const options = { method, headers: {}, credentials: 'same-origin' };
  if (body !== undefined) {
    options.headers['content-type'] = 'application/json';
    options.body = JSON.stringify(body);
  }
  const response = await fetch(`/desk/${path}`, options);
  if (response.ok) return response.json();
  const problem = await response.json().catch(() => ({}));
  const message = problem.error?.message ?? `the server answered ${response.status}`;
  if (response.status >= 500 && response.status !== 501) throw new NotNow(message);
  throw new Refused(response.status, message);
}

function say(text, late = false) {
  const node = byId('saving');
  node.textContent = text;
  node.classList.toggle('late', late);
}

// Kept in order; `then` gets what the server answers, `refused` why it will never take this one.
function keep(body, then, refused) {
  saving.waiting.push({ body, then, refused });
  if (!saving.busy) sendWaiting();
}

async function sendWaiting() {
  saving.busy = true;
  while (saving.waiting.length) {
    const { body, then, refused } = saving.waiting[0];
    try {
      const found = await asked('answer', body);
      saving.waiting.shift();
      saving.wait = 0;
      say(saving.waiting.length ? `${saving.waiting.length} on their way` : 'saved');
      then(found);
    } catch (error) {
      if (error instanceof Refused) {
        saving.waiting.shift();
        refused(error);
      } else {
        saving.wait = Math.min(LONGEST_WAIT, 2 * saving.wait || FIRST_WAIT);
        const why = error instanceof NotNow ? ` (${error.message})` : '';
        say(`not saved yet: ${plural(saving.waiting.length, 'answer waits', 'answers wait')}, and will be sent again${why}`, true);
        await new Promise((done) => setTimeout(done, saving.wait));
      }
    }
  }
  saving.busy = false;
}

const allSaved = async () => {
  while (saving.busy) await new Promise((done) => setTimeout(done, 20));
};

window.addEventListener('beforeunload', (event) => {
  if (saving.waiting.length) event.preventDefault();
});
