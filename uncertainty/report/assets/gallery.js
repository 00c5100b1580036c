// ---- the gallery: only the images of one page are elements

const PER_PAGE = 48;
const NONE = { class: '', true: '', predicted: '', together: null, decision: '', doubt: '', reason: '', text: '' };
const filter = { ...NONE, outcomes: new Set(), order: 'suspicion' };

const ORDERS = {
  suspicion: ['most suspicious first', (a, b) => a.rank - b.rank],
  trust: ['least suspicious first', (a, b) => (b.p ?? -1) - (a.p ?? -1) === 0 ? a.rank - b.rank : (a.p ?? 2) - (b.p ?? 2)],
  sure: ['most confident first', (a, b) => (b.confidence ?? -1) - (a.confidence ?? -1) || a.rank - b.rank],
  name: ['by file name', (a, b) => (a.name < b.name ? -1 : 1)],
};

if (several) ORDERS.doubt = ['most doubtful of the class first', (a, b) => doubtOf(b) - doubtOf(a) || a.rank - b.rank];

const cards = new Map(); // of this page
let page = 0;

function matches(image) {
  const classes_ = [...listOf(image.predicted), ...listOf(image.label)];
  return (
    (several ? matchesDecision(image, filter) : filter.class === '' || classes_.includes(Number(filter.class))) &&
    (filter.true === '' || image.label === filter.true) &&
    (filter.predicted === '' || image.predicted === filter.predicted) &&
    (filter.reason === '' || reasonsOf(image).includes(filter.reason)) &&
    (filter.text === '' || shown(image.name).toLowerCase().includes(filter.text)) &&
    (filter.outcomes.size === 0 || filter.outcomes.has(outcome(image)))
  );
}

const listed = () => images.filter(matches).sort(ORDERS[filter.order][1]);

// Show the images that match, in order: those of one page, the first unless said otherwise.
function showCards(wanted = 0) {
  const list = listed();
  const pages = Math.max(1, Math.ceil(list.length / PER_PAGE));
  page = Math.max(0, Math.min(wanted, pages - 1));
  cards.clear();
  for (const image of list.slice(page * PER_PAGE, (page + 1) * PER_PAGE)) cards.set(image, card(image, () => openDetails(image, list, focusOn)));
  byId('cards').replaceChildren(...[...cards.values()].map((one) => one.node));
  byId('cards').classList.toggle('empty', !list.length);
  const total = list.length === images.length ? plural(images.length, 'image', 'images') : `${whole(list.length)} of ${plural(images.length, 'image', 'images')}`;
  const pair = filter.true === '' ? '' : `, true class ${className(filter.true)}, predicted ${className(filter.predicted)}`;
  const part = pages > 1 ? `, page ${whole(page + 1)} of ${whole(pages)}` : '';
  byId('found').replaceChildren(total + pair + togetherText(filter.together) + part);
  showPager(pages);
}

// After the details were closed: to the card they were of, on whichever page it is.
function focusOn(image) {
  const at = listed().indexOf(image);
  if (at < 0) return;
  if (!cards.has(image)) showCards(Math.floor(at / PER_PAGE));
  cards.get(image).node.querySelector('.shot').focus();
}

function turnTo(wanted) {
  showCards(wanted);
  byId('found').scrollIntoView();
  byId('gallery').focus({ preventScroll: true });
}

function showPager(pages) {
  const pager = byId('pager');
  pager.hidden = pages === 1;
  if (pages === 1) return;
  const step = (title, by) => make('button', { type: 'button', class: 'quiet', disabled: page + by < 0 || page + by >= pages, onclick: () => turnTo(page + by) }, title);
  const select = make('select', { id: 'page', onchange: () => turnTo(Number(select.value)) }, Array.from({ length: pages }, (_, i) => option(i, whole(i + 1))));
  select.value = page;
  pager.replaceChildren(step('← Previous', -1), make('label', {}, 'Page ', select, ` of ${whole(pages)}`), step('Next →', 1));
}

// After the budget moved: only the cards whose outcome changed are touched, unless they are chosen by outcome.
function refreshOutcomes() {
  for (const [image, entry] of cards) {
    const kind = outcome(image);
    if (kind === entry.kind) continue;
    entry.node.classList.replace(entry.kind, kind);
    entry.node.querySelector('.badge').replaceWith(badge(kind));
    entry.kind = kind;
  }
  countOutcomes();
  if (filter.outcomes.size) showCards(page);
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
  if (key === 'class') Object.assign(filter, { true: '', predicted: '', together: null });
  filter[key] = key === 'text' ? value.toLowerCase() : value;
  showCards();
}

function clearFilters() {
  Object.assign(filter, NONE);
  filter.outcomes.clear();
  for (const id of ['class', 'reason', 'text', ...(several ? ['decision', 'doubt'] : [])]) byId(id).value = '';
  for (const chip of document.querySelectorAll('[data-outcome]')) chip.setAttribute('aria-pressed', 'false');
}

function openCell(trueClass, predicted, which) {
  clearFilters();
  Object.assign(filter, { true: trueClass, predicted });
  if (which === 'kept') for (const kind of ['missed', 'right']) toggleOutcome(kind);
  showChosen();
}

// From elsewhere on the page: the images that `wanted` asks for, and nothing else of the filters.
function openImages(wanted) {
  clearFilters();
  Object.assign(filter, wanted);
  for (const id of ['class', 'decision', 'doubt', 'order']) byId(id).value = filter[id];
  showChosen();
}

function showChosen() {
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
  const present = [...new Set(images.flatMap((image) => [...listOf(image.predicted), ...listOf(image.label), ...(image.doubts ?? []).map(([k]) => k)]))].sort((a, b) => a - b);
  const reasons = [...new Set(images.flatMap(reasonsOf))].sort();
  const search = make('input', { type: 'search', id: 'text', autocomplete: 'off', oninput: () => set('text', search.value) });
  const heat = make('button', { type: 'button', class: 'chip', id: 'heat', 'aria-pressed': 'true', onclick: () => toggleHeat(heat) }, 'heat maps');
  fill(byId('filters'), {}, [
    make('div', { class: 'chips', role: 'group', 'aria-label': 'Outcomes' }, Object.keys(OUTCOMES).map(outcomeChip), images.some((image) => image.heat) ? heat : null),
    images.some((image) => image.heat) ? make('p', { class: 'says heated' }, 'Heat maps show where the classifier looks for the class it names. ', legend('heat')) : null,
    make('div', { class: 'choices' },
      choice('class', 'Class', [option('', 'all'), ...present.map((k) => option(k, className(k)))]),
      several ? decisionChoices() : null,
      choice('reason', 'Reason', [option('', 'all'), ...reasons.map((reason) => option(reason, words(shown(reason))))]),
      choice('order', 'Order', Object.entries(ORDERS).map(([key, [text]]) => option(key, text))),
      make('label', { class: 'choice' }, 'File name', search),
      make('button', { type: 'button', class: 'quiet', onclick: () => { clearFilters(); showCards(); countOutcomes(); } }, 'Clear')),
  ]);
  countOutcomes();
  showCards();
}
