// ---- the desk: what is at hand, answers by key, and what follows

const desk = { hand: [], given: new Set(), chosen: new Set(), since: 0, began: 0, skipped: 0 };
const MOST_CHOICES = 6;
const NEXT = 'key to next image';

const current = () => desk.hand[0];

function take(found, keepFirst = true) {
  const first = keepFirst ? current() : undefined;
  const items = found.items.filter((one) => !desk.given.has(one.item));
  const rest = first ? items.filter((one) => one.item !== first.item) : items;
  desk.hand = first ? [first, ...rest] : rest;
  desk.skipped = found.skipped;
  desk.hand.forEach(picture);
  head(found.headline);
  if (!first) present();
}

function head(told) {
  byId('meter').max = told.images || 1;
  byId('meter').value = told.done;
  const found = told.done ? `; errors found: ${whole(told.found)}, expected by now: ${told.expected}` : '';
  byId('headline').textContent = `${whole(told.done)} of ${plural(told.images, 'image', 'images')} done${found}`;
  byId('outlook').textContent = told.outlook;
  byId('outlook').classList.toggle('stop', told.stop);
}

function present() {
  const image = current();
  byId('desk').hidden = !image;
  byId('finished').hidden = Boolean(image);
  desk.since = performance.now();
  if (!image) return finished();
  if (desk.began) measured(image);
  desk.chosen = new Set(image.said);
  show(image);
  offer(image);
}

function finished() {
  byId('again').hidden = !desk.skipped;
  const skipped = desk.skipped ? ` You skipped ${plural(desk.skipped, 'image', 'images')}.` : '';
  const all = byId('meter').value >= byId('meter').max;
  byId('finished-words').textContent = `${all ? 'Every image has an answer. What came of it, the labels, and what they teach the screener are on the page of progress.' : 'Every image has an answer, or somebody else is looking at it.'}${skipped}`;
  byId('finished').focus({ preventScroll: true });
}

// ---- answers

// One class, or of several labels all of the likelier set.
const suggestedOf = (image) => [image.suggested?.[0] ?? []].flat();

// The prediction first, then what the evidence suggests, then what the classifier else thought.
function choicesOf(image) {
  const likely = (image.top ?? []).map(([k]) => k);
  const wanted = [...image.said, ...suggestedOf(image), ...likely];
  return [...new Set(wanted)].filter((k) => k !== null && k !== undefined).slice(0, MOST_CHOICES);
}

function offer(image) {
  const chance = new Map(image.top ?? []);
  const suggested = suggestedOf(image);
  const buttons = choicesOf(image).map((k, i) => {
    // Of several labels the probability is that of the whole set, which would pass for that of a label.
    const likely = suggested.includes(k) && !data.several ? percent(image.suggested[1], 0) : chance.has(k) ? percent(chance.get(k), 0) : '';
    const word = suggested.includes(k) && !(data.several && image.said.includes(k)) ? 'suggested' : '';
    const told = [word, likely].filter(Boolean).join(', ');
    const first = !data.several && image.said.includes(k);
    const pressed = data.several ? { 'aria-pressed': String(desk.chosen.has(k)) } : {};
    return make('button', { type: 'button', class: `answer ${first ? 'first' : ''}`, onclick: () => choose(k), ...pressed }, make('kbd', {}, first ? '↵' : i + 1), classNamed(k), make('small', {}, told));
  });
  // Who goes by Tab stays at the button that was pressed, though it is made anew.
  const at = [...byId('choices').children].indexOf(document.activeElement);
  byId('choices').replaceChildren(...buttons);
  byId('choices').children[at]?.focus();
  byId('chosen').hidden = !data.several;
  if (data.several) showChosen();
}

function showChosen() {
  const chips = [...desk.chosen].map((k) => make('button', { type: 'button', class: 'chip', 'aria-pressed': true, title: 'take this label off', onclick: () => choose(k) }, classNamed(k), ' ✕'));
  if (byId('chosen').contains(document.activeElement)) byId('stage').focus({ preventScroll: true });
  byId('chosen').replaceChildren(...(chips.length ? chips : [make('span', { class: 'says' }, 'no label')]));
  byId('how-many').textContent = desk.chosen.size ? `, ${plural(desk.chosen.size, 'label', 'labels')}` : ': none';
}

function choose(k) {
  if (!data.several) return answer('class', [k]);
  if (!desk.chosen.delete(k)) desk.chosen.add(k);
  offer(current());
  return undefined;
}

const confirm = () => (data.several ? answer('class', [...desk.chosen]) : current()?.said.length ? answer('class', current().said) : say('there is no prediction to confirm'));

function answer(kind, chosen = []) {
  const image = current();
  if (!image) return;
  const began = performance.now();
  const seconds = Math.round(began - desk.since) / 1000;
  desk.hand.shift();
  desk.given.add(image.item);
  desk.began = began;
  // Also where the next image is still on its way: what is typed meanwhile must not go into a field.
  byId('stage').focus({ preventScroll: true });
  if (current()) present();
  else say('saving …');
  const body = { item: image.item, kind, classes: kind === 'class' ? chosen : [], how: image.how, seconds };
  keep(body, (found) => { desk.given.delete(image.item); take(found, Boolean(current())); }, (error) => refusedOne(image, error));
}

// From the key until the picture is decoded and the frame with it has been drawn.
async function measured(image) {
  const start = desk.began;
  desk.began = 0;
  await picture(image).decode().catch(() => {});
  await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
  performance.measure(NEXT, { start, end: performance.now() });
}

function refusedOne(image, error) {
  desk.given.delete(image.item);
  say(`your answer for ${shown(image.name)} was not kept: ${error.message}`, true);
  if (error.status === 401) location.assign('/desk');
  else if (!current()) following();
}

// ---- what goes over the network and changes what is at hand

async function changed(path) {
  try {
    await allSaved();
    const found = await asked(path);
    desk.given.clear();
    take(found, false);
    byId('stage').focus({ preventScroll: true });
    return found;
  } catch (error) {
    say(error.status === 409 ? 'taken back; somebody else is looking at that image now' : shown(error.message), true);
    return {};
  }
}

const following = () => changed('next');

async function undo() {
  const found = await changed('undo');
  if (found.undone === null) say('there is nothing to take back');
  else if (found.undone !== undefined) say(`taken back: ${shown(found.before)}`);
  // Of several labels one may be wrong: all the others need not be chosen again.
  if (data.several && found.chosen && current()?.item === found.undone) {
    desk.chosen = new Set(found.chosen);
    offer(current());
  }
}

// ---- keys

const KEYS = {
  Enter: confirm,
  ' ': confirm,
  c: () => combo.input.focus(),
  '/': () => combo.input.focus(),
  n: () => answer('unknown'),
  x: () => answer('unusable'),
  s: () => answer('skip'),
  ArrowRight: () => answer('skip'),
  u: undo,
  ArrowLeft: undo,
  Backspace: undo,
  z: () => zoom(),
  h: () => (data.looks && current() ? heat(current()) : undefined),
  e: () => (data.looks && current() ? explain(current()) : undefined),
  '?': () => byId('help').showModal(),
};

function pressed(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || event.repeat || byId('help').open) return;
  const at = event.target;
  if (at.closest('input, textarea, select')) return;
  if (at.closest('button, a, summary') && (event.key === 'Enter' || event.key === ' ')) return;
  if (seen.zoom && event.key.startsWith('Arrow')) return;
  const number = '123456789'.indexOf(event.key);
  const k = number >= 0 && event.key.length === 1 && current() ? choicesOf(current())[number] : undefined;
  const does = k !== undefined ? () => choose(k) : KEYS[event.key];
  if (!does) return;
  event.preventDefault();
  does();
}

combo.take = (k) => {
  choose(k);
  if (data.several) byId('stage').focus({ preventScroll: true });
};
document.addEventListener('keydown', pressed);
for (const button of document.querySelectorAll('[data-key]')) button.addEventListener('click', () => { button.blur(); KEYS[button.dataset.key](); });
const TOOLS = { zoom: () => zoom(), heat: () => current() && heat(current()), explain: () => current() && explain(current()) };
for (const [id, does] of Object.entries(TOOLS)) {
  byId(id)?.addEventListener('click', (event) => {
    does();
    // Whoever clicks goes on by keys, and Enter then means the image; whoever tabbed to the button stays there.
    if (event.detail) byId('stage').focus({ preventScroll: true });
  });
}
byId('stage').addEventListener('click', (event) => current() && zoomAt(event));
byId('more').addEventListener('click', following);
byId('again').addEventListener('click', () => changed('again'));
byId('help-button').addEventListener('click', () => byId('help').showModal());
byId('help-close').addEventListener('click', () => byId('help').close());
following().then(() => { document.documentElement.dataset.ready = 'true'; });
