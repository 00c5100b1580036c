// ---- the gallery: cards are made a few at a time; the browser lays out those in sight

const AT_ONCE = 60;
const PRINTED = 60;
const filter = { class: '', true: '', predicted: '', reason: '', text: '', outcomes: new Set(), order: 'suspicion' };

const ORDERS = {
  suspicion: ['most suspicious first', (a, b) => a.rank - b.rank],
  trust: ['least suspicious first', (a, b) => (b.p ?? -1) - (a.p ?? -1) === 0 ? a.rank - b.rank : (a.p ?? 2) - (b.p ?? 2)],
  sure: ['most confident first', (a, b) => (b.confidence ?? -1) - (a.confidence ?? -1) || a.rank - b.rank],
  name: ['by file name', (a, b) => (a.name < b.name ? -1 : 1)],
};

const cards = new Map();

function picture(image, size = 160) {
  if (image.picture === undefined) {
    return make('span', { class: 'gone' }, make('span', { class: 'cross', 'aria-hidden': 'true' }, '✕'), image.error ? `unreadable: ${shown(image.error)}` : `no picture: ${shown(image.no_picture)}`);
  }
  const tiny = Math.max(...image.size) <= 64 ? 'tiny' : '';
  return make('img', { src: image.picture, alt: '', class: tiny, loading: 'lazy', decoding: 'async', width: size, height: size });
}

const said = (image) => {
  if (image.predicted === undefined) return ['not classified'];
  const predicted = make('b', {}, name(classes[image.predicted]));
  if (image.label === undefined) return [predicted];
  return image.wrong ? [predicted, ' is really ', make('b', {}, name(classes[image.label]))] : [predicted, ', as labelled'];
};

const reasonsOf = (image) => (image.error !== undefined ? ['unreadable'] : image.reasons ?? []);

function strip(image) {
  if (!image.near) return null;
  return make('div', { class: 'strip' }, image.near.slice(0, 2).map((group) =>
    make('div', {}, make('span', { class: 'tag' }, name(classes[group.class])), make('span', { class: 'row' }, group.pictures.slice(0, 2).map((k) => make('img', { src: data.known_good[k], alt: '', loading: 'lazy', width: 48, height: 48 }))))));
}

function card(image) {
  const kind = outcome(image);
  const label = `${shown(image.name)}: details`;
  const shot = make('button', { type: 'button', class: 'shot', 'aria-label': image.picture === undefined ? null : label, onclick: () => openDetails(image) }, image.picture === undefined ? make('span', { class: 'unseen' }, `${label}, `) : null, picture(image), image.heat ? heatOf(image.heat[0], image.heat_box) : null);
  const head = make('div', { class: 'head' }, badge(kind), make('span', { class: 'p', title: 'p_wrong' }, image.p === undefined ? '–' : fixed(image.p, 2)));
  const why = reasonsOf(image).map((reason) => make('li', {}, words(shown(reason))));
  const node = make(
    'li',
    { class: `card ${kind}` },
    shot,
    bar(image.p ?? 1),
    head,
    make('p', { class: 'said' }, said(image)),
    why.length ? make('ul', { class: 'why' }, why) : null,
    strip(image),
    make('p', { class: 'file' }, name(image.name)),
  );
  return { node, kind };
}

function matches(image) {
  const classes_ = [image.predicted, image.label];
  return (
    (filter.class === '' || classes_.includes(Number(filter.class))) &&
    (filter.true === '' || image.label === filter.true) &&
    (filter.predicted === '' || image.predicted === filter.predicted) &&
    (filter.reason === '' || reasonsOf(image).includes(filter.reason)) &&
    (filter.text === '' || shown(image.name).toLowerCase().includes(filter.text)) &&
    (filter.outcomes.size === 0 || filter.outcomes.has(outcome(image)))
  );
}

let turn = 0;

// Show the cards that match, in order; a later call stops an earlier one that is still adding cards.
function showCards() {
  const mine = ++turn;
  const list = images.filter(matches).sort(ORDERS[filter.order][1]);
  const holder = byId('cards');
  const total = list.length === images.length ? plural(images.length, 'image', 'images') : `${whole(list.length)} of ${plural(images.length, 'image', 'images')}`;
  const pair = filter.true === '' ? '' : `, true class ${className(filter.true)}, predicted ${className(filter.predicted)}`;
  byId('found').replaceChildren(total + pair, list.length > PRINTED ? make('span', { class: 'printed' }, ` (the first ${PRINTED} are printed)`) : '');
  holder.replaceChildren();
  const add = (from) => {
    if (mine !== turn) return;
    const part = list.slice(from, from + AT_ONCE).map((image, i) => {
      if (!cards.has(image)) cards.set(image, card(image));
      const { node } = cards.get(image);
      node.classList.toggle('unprinted', from + i >= PRINTED);
      return node;
    });
    holder.append(...part);
    if (from + AT_ONCE < list.length) requestAnimationFrame(() => add(from + AT_ONCE));
  };
  add(0);
  holder.classList.toggle('empty', !list.length);
}

// After the budget moved: only the cards whose outcome changed are touched.
function refreshOutcomes() {
  for (const [image, entry] of cards) {
    const kind = outcome(image);
    if (kind === entry.kind) continue;
    entry.node.classList.replace(entry.kind, kind);
    entry.node.querySelector('.badge').replaceWith(badge(kind));
    entry.kind = kind;
  }
  countOutcomes();
  if (filter.outcomes.size) showCards();
}

function countOutcomes() {
  const tally = {};
  for (const image of images) tally[outcome(image)] = (tally[outcome(image)] ?? 0) + 1;
  for (const chip of document.querySelectorAll('[data-outcome]')) {
    const kind = chip.dataset.outcome;
    chip.hidden = !tally[kind] && !filter.outcomes.has(kind);
    chip.querySelector('.count').textContent = whole(tally[kind] ?? 0);
  }
}

const option = (value, text) => make('option', { value }, text);

function choice(id, title, options) {
  const select = make('select', { id, onchange: () => set(id, select.value) }, options);
  return make('label', { class: 'choice' }, title, select);
}

function set(key, value) {
  if (key === 'class') Object.assign(filter, { true: '', predicted: '' });
  filter[key] = key === 'text' ? value.toLowerCase() : value;
  showCards();
}

function clearFilters() {
  Object.assign(filter, { class: '', true: '', predicted: '', reason: '', text: '' });
  filter.outcomes.clear();
  for (const id of ['class', 'reason', 'text']) byId(id).value = '';
  for (const chip of document.querySelectorAll('[data-outcome]')) chip.setAttribute('aria-pressed', 'false');
}

function openCell(trueClass, predicted, which) {
  clearFilters();
  Object.assign(filter, { true: trueClass, predicted });
  if (which === 'kept') for (const kind of ['missed', 'right']) toggleOutcome(kind);
  showCards();
  countOutcomes();
  byId('gallery').focus({ preventScroll: true });
  byId('gallery').scrollIntoView();
}

function toggleOutcome(kind) {
  if (!filter.outcomes.delete(kind)) filter.outcomes.add(kind);
  document.querySelector(`[data-outcome="${kind}"]`).setAttribute('aria-pressed', String(filter.outcomes.has(kind)));
}

function outcomeChip(kind) {
  const chip = make('button', { type: 'button', class: `chip ${kind}`, 'data-outcome': kind, 'aria-pressed': 'false', title: OUTCOMES[kind].says }, badge(kind), ' ', make('span', { class: 'count' }));
  chip.addEventListener('click', () => {
    toggleOutcome(kind);
    showCards();
  });
  return chip;
}

function showGallery() {
  const present = [...new Set(images.flatMap((image) => [image.predicted, image.label]))].filter((k) => k !== undefined).sort((a, b) => a - b);
  const reasons = [...new Set(images.flatMap(reasonsOf))].sort();
  const search = make('input', { type: 'search', id: 'text', autocomplete: 'off', oninput: () => set('text', search.value) });
  const heat = make('button', { type: 'button', class: 'chip', id: 'heat', 'aria-pressed': 'true', onclick: () => toggleHeat(heat) }, 'heat maps');
  fill(byId('filters'), {}, [
    make('div', { class: 'chips', role: 'group', 'aria-label': 'Outcomes' }, Object.keys(OUTCOMES).map(outcomeChip), images.some((image) => image.heat) ? heat : null),
    make('div', { class: 'choices' },
      choice('class', 'Class', [option('', 'all'), ...present.map((k) => option(k, className(k)))]),
      choice('reason', 'Reason', [option('', 'all'), ...reasons.map((reason) => option(reason, words(shown(reason))))]),
      choice('order', 'Order', Object.entries(ORDERS).map(([key, [text]]) => option(key, text))),
      make('label', { class: 'choice' }, 'File name', search),
      make('button', { type: 'button', class: 'quiet', onclick: () => { clearFilters(); showCards(); countOutcomes(); } }, 'Clear')),
  ]);
  countOutcomes();
  showCards();
}
