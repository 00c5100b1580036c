// ---- figures at the top, and what is missing

function tile(title, value, says, kind = '') {
  return make('div', { class: `tile ${kind}` }, make('dt', {}, title), make('dd', {}, make('span', { class: 'value' }, value), make('span', { class: 'says' }, says)));
}

function decisionsTile() {
  const told = evaluation?.decisions;
  if (told) return tile('Wrong decisions', whole(told.errors), `of ${whole(told.n)} answered: ${percent(told.accuracy)} right`);
  const expected = several.by_class.reduce((sum, one) => sum + (one.expected ?? 0), 0);
  return tile('Wrong decisions expected', fixed(expected, 1), 'sum of p_wrong of each class');
}

function showSummary() {
  const tiles = [tile('Images', whole(counts.images), counts.unreadable ? `${whole(counts.unreadable)} unreadable` : 'all readable')];
  tiles.push(tile('Flagged', whole(counts.flagged), percent(counts.flagged / Math.max(1, counts.images)), 'alarm'));
  if (evaluation) {
    tiles.push(
      tile('Errors caught', percent(evaluation.errors_caught_by_flags), `of ${plural(counts.errors, 'error', 'errors')}`, 'caught'),
      tile('Flags that are errors', percent(evaluation.precision_of_flags), 'precision of the flags'),
      tile('Accuracy of the rest', percent(evaluation.accuracy_of_unflagged), `all: ${percent(evaluation.accuracy)}`, 'right'),
      tile('Errors predicted', percent(evaluation.predicted_error_rate), `observed: ${percent(evaluation.observed_error_rate)}`),
    );
  } else {
    tiles.push(tile('Errors expected', whole(Math.round(counts.expected_errors)), 'sum of p_wrong', 'caught'));
  }
  if (several) tiles.push(decisionsTile());
  byId('tiles').append(...tiles);
  if (drifted()) {
    byId('alarm').hidden = false;
    byId('alarm').append('The images are not like those it was calibrated on: see ', make('a', { href: '#drift' }, 'Drift below'), ' before trusting p_wrong.');
  }
  if (!data.notes.length) return;
  byId('notes').hidden = false;
  byId('notes').append(make('ul', {}, data.notes.map((note) => make('li', {}, note))));
}

// ---- budget

// What looking at the most suspicious images gives; `step` is a position in the table of budgets.
function standing(step = currentStep()) {
  const k = budget.k[step];
  const seen = budget.labelled[step];
  const caught = budget.caught[step];
  const kept = counts.labelled - seen;
  return {
    k,
    caught,
    threshold: budget.threshold[step],
    expected: budget.expected[step],
    share: k / Math.max(1, counts.images - counts.unreadable),
    caughtShare: counts.errors ? caught / counts.errors : null,
    accuracy: kept ? 1 - (counts.errors - caught) / kept : null,
    coverage: counts.labelled ? kept / counts.labelled : 0,
    risk: kept ? (counts.errors - caught) / kept : 0,
  };
}

const screenedStep = () => budget.k.indexOf(counts.flagged_readable);
const currentStep = () => (state.k === null ? screenedStep() : budget.k.indexOf(state.k));

function showBudget(changed) {
  if (counts.images === counts.unreadable) return;
  byId('budget').hidden = false;
  const slider = make('input', { type: 'range', id: 'slider', min: 0, max: budget.k.length - 1, step: 1, value: screenedStep() });
  const label = make('label', { for: 'slider' });
  const list = make('dl', { class: 'tiles small', id: 'standing' });
  const reset = make('button', { type: 'button', id: 'reset', class: 'quiet' }, 'As it was screened');
  const show = () => {
    const at = standing();
    const readable = counts.images - counts.unreadable;
    label.replaceChildren('Look at ', make('strong', {}, plural(at.k, 'image', 'images')), ` of ${whole(readable)} readable`);
    slider.setAttribute('aria-valuetext', `${plural(at.k, 'image', 'images')}, ${percent(at.share)}`);
    reset.disabled = state.k === null;
    list.replaceChildren(
      tile('Flagged share', percent(at.share), at.k ? `p_wrong from ${probability(at.threshold)} up` : 'nothing', 'alarm'),
      ...(judged
        ? [
            tile('Errors caught', percent(at.caughtShare), `${whole(at.caught)} of ${whole(counts.errors)}`, 'caught'),
            tile('Errors missed', whole(counts.errors - at.caught), 'left among the rest', 'missed'),
            tile('Accuracy of the rest', percent(at.accuracy), `all: ${percent(1 - counts.errors / counts.labelled)}`, 'right'),
          ]
        : [tile('Errors expected there', fixed(at.expected, 1), `of ${fixed(counts.expected_errors, 1)} in all`, 'caught')]),
    );
  };
  const move = (k) => {
    state.k = k === counts.flagged_readable ? null : k;
    show();
    changed();
  };
  slider.addEventListener('input', () => move(budget.k[Number(slider.value)]));
  reset.addEventListener('click', () => {
    slider.value = screenedStep();
    slider.focus();
    move(counts.flagged_readable);
  });
  const unreadable = counts.unreadable ? ` ${plural(counts.unreadable, 'unreadable image is', 'unreadable images are')} flagged besides.` : '';
  const policy = data.by_rank ? '' : ' The flags of this screening were not set by p_wrong alone; moved, the slider flags by p_wrong alone.';
  byId('budget-panel').append(
    make('p', { class: 'says' }, `Move the slider to look at more or fewer, the most suspicious first. The images below follow.${unreadable}${policy}`),
    make('div', { class: 'slider' }, label, slider, reset),
    list,
  );
  show();
}

// ---- confusion matrix

function showConfusion(open) {
  const matrix = data.confusion;
  if (!matrix || !matrix.cells.length) return;
  byId('confusion').hidden = false;
  const found = new Map(matrix.cells.map(([t, p, all, kept]) => [`${t} ${p}`, { all, kept }]));
  const rows = new Map(matrix.shown.map((t) => [t, Math.max(1, ...matrix.shown.map((p) => found.get(`${t} ${p}`)?.all ?? 0))]));
  const cell = (t, p, which) => {
    const count = found.get(`${t} ${p}`)?.[which] ?? 0;
    if (!count) return make('td', {}, make('span', { class: 'none', 'aria-hidden': 'true' }, '·'));
    const label = `true ${className(t)}, predicted ${className(p)}: ${plural(count, 'image', 'images')}`;
    const button = make('button', { type: 'button', class: t === p ? 'hit' : 'slip', 'aria-label': label, title: label, onclick: () => open(t, p, which) }, whole(count));
    button.style.setProperty('--strength', `${Math.round(12 + 28 * Math.sqrt(count / rows.get(t)))}%`);
    return make('td', {}, button);
  };
  const grid = (which) =>
    make(
      'table',
      { class: 'matrix' },
      make('caption', { class: 'unseen' }, 'Images by true class and prediction'),
      make('thead', {}, make('tr', {}, make('th', { scope: 'col', class: 'corner' }, 'true ↓ predicted →'), matrix.shown.map((p) => make('th', { scope: 'col' }, name(classes[p]))))),
      make('tbody', {}, matrix.shown.map((t) => make('tr', {}, make('th', { scope: 'row' }, name(classes[t])), matrix.shown.map((p) => cell(t, p, which))))),
    );
  const place = make('div', {}, grid('all'));
  const holder = scrolling('Confusion matrix', place);
  const choose = (which, text) =>
    make('button', { type: 'button', class: 'chip', 'aria-pressed': which === 'all', onclick: (event) => {
      for (const other of event.target.parentNode.children) other.setAttribute('aria-pressed', other === event.target);
      place.replaceChildren(grid(which));
    } }, text);
  const pairs = matrix.pairs.map(([t, p, all, kept]) =>
    make('li', {}, make('button', { type: 'button', class: 'pair', onclick: () => open(t, p, 'all') }, name(classes[t]), ' taken for ', name(classes[p])), ` ${plural(all, 'image', 'images')}, ${whole(all - kept)} flagged`));
  const says = matrix.shown.length < matrix.classes
    ? make('p', { class: 'says' }, `${matrix.shown.length} of ${whole(matrix.classes)} classes, those with most errors; ${plural(matrix.hidden_errors, 'error concerns', 'errors concern')} others and can’t be seen here.`)
    : null;
  fill(byId('confusion-panel'), {}, [
    make('div', { class: 'chips', role: 'group', 'aria-label': 'Images counted' }, choose('all', 'all images'), choose('kept', 'not flagged')),
    make('p', { class: 'says' }, 'Rows are true classes, columns predictions. Choose a cell to see its images.'),
    says,
    make('div', { class: 'beside' }, holder, pairs.length ? make('div', { class: 'pairs' }, make('h3', {}, 'Most frequent'), make('ol', {}, pairs)) : null),
  ]);
}

// ---- class by class, and kinds of images: where `evaluate` has them

const MOST_ROWS = 100;

function showClasses() {
  const found = evaluation?.per_class;
  if (!Array.isArray(found) || !found.length) return;
  byId('classes').hidden = false;
  const order = found.toSorted((a, b) => (a.f1 ?? 2) - (b.f1 ?? 2)).slice(0, MOST_ROWS);
  const flagged = (n, flags) => (n ? `${whole(n)} (${whole(flags)} flagged)` : '0');
  const rows = order.map((c) => [
    name(c.class), whole(c.support), percent(c.precision), percent(c.recall), fixed(c.f1), fixed(c.roc_auc),
    flagged(c.false_positives, c.false_positives_flagged), flagged(c.false_negatives, c.false_negatives_flagged),
  ]);
  const head = ['class', 'images', 'precision', 'recall', 'F1', 'ROC AUC', 'wrongly given', 'not recognised'];
  const more = found.length > order.length ? ` ${order.length} of ${whole(found.length)} classes.` : '';
  byId('classes-panel').append(scrolling('Table of classes', table(`The weakest first.${more}`, head, rows)));
}

function showSlices() {
  const found = evaluation?.slices?.slices;
  if (!Array.isArray(found) || !found.length) return;
  byId('slices').hidden = false;
  const rows = found.slice(0, MOST_ROWS).map((s) => [
    name(s.name), whole(s.n), `${percent(s.error_rate)} (${percent(s.low)} to ${percent(s.high)})`, percent(s.error_rate_rest),
    percent(s.errors_caught), probability(s.p_within_class_holm), make('span', { class: `verdict ${String(s.conclusion).replaceAll(' ', '-')}` }, s.conclusion),
  ]);
  const head = ['images that are', 'count', 'error rate (95 %)', 'of the rest', 'errors caught', 'p, corrected', 'says'];
  const caption = 'Is it really a cause? Tests are exact, within classes, and corrected for their number.';
  byId('slices-panel').append(scrolling('Table of kinds of images', table(caption, head, rows)));
}

// ---- what else the screening says of itself, whatever it is

function plain(value) {
  if (value === null || value === undefined) return '–';
  if (typeof value === 'boolean') return value ? 'yes' : 'no';
  if (typeof value === 'number') return Number.isInteger(value) ? whole(value) : String(Number(value.toPrecision(4)));
  return name(value);
}

const ENDS = ['low', 'value', 'high'];
const isInterval = (value) => Object.keys(value).length === ENDS.length && ENDS.every((key) => isNumber(value[key]));

function tree(value, label = '') {
  if (Array.isArray(value)) {
    if (!value.length) return '–';
    if (value.every((one) => one && typeof one === 'object' && !Array.isArray(one))) {
      const head = [...new Set(value.flatMap(Object.keys))];
      const rows = value.slice(0, MOST_ROWS).map((row) => head.map((key) => inCell(row[key])));
      return scrolling(`Table of ${label}`, table('', head.map(words), rows));
    }
    const short = value.every((one) => one === null || typeof one !== 'object') && String(value).length < 200 && !value.some((one) => /\s/.test(one));
    return short ? value.slice(0, MOST_ROWS).map((one, i) => [i ? ', ' : '', plain(one)]) : make('ul', {}, value.slice(0, MOST_ROWS).map((one) => make('li', {}, tree(one))));
  }
  if (value && typeof value === 'object') {
    if (isInterval(value)) return `${plain(value.value)} (${plain(value.low)} to ${plain(value.high)})`;
    const entries = Object.entries(value).slice(0, MOST_ROWS);
    if (!entries.length) return '–';
    return make('dl', { class: 'facts' }, entries.map(([key, item]) => make('div', {}, make('dt', {}, shown(words(key))), make('dd', {}, tree(item, label ? `${label}, ${shown(words(key))}` : shown(words(key)))))));
  }
  return plain(value);
}

// What has names and numbers alone stands in one line of a table.
function inCell(value) {
  const parts = value && typeof value === 'object' && !Array.isArray(value) ? Object.values(value) : [];
  return parts.length && parts.every((one) => typeof one !== 'object') ? parts.map((one, i) => [i ? ' · ' : '', plain(one)]) : tree(value);
}

// Sentences first, what they rest on below.
function showTold(section, value, alarm = false) {
  const { in_words: sentences, ...rest } = value ?? {};
  const said = [sentences].flat().filter(Boolean);
  if (!said.length && !Object.keys(rest).length) return;
  byId(section).hidden = false;
  fill(byId(`${section}-panel`), {}, [
    said.map((sentence) => make('p', { class: alarm ? 'alarmed' : 'says' }, name(sentence))),
    Object.keys(rest).length ? make('details', { open: !said.length }, make('summary', {}, 'What it rests on'), tree(rest)) : null,
  ]);
}

const drift = () => data.monitoring ?? data.summary.drift ?? null;
const drifted = () => Boolean(drift()?.alarm ?? drift()?.drift?.alarm);

function showBasis() {
  const { provenance: { policy: decided, earlier_policies: earlier, ...carried } = {}, policy, drift: _, ...counted } = data.summary;
  const rest = { ...counted, ...carried };
  const provenance = carried;
  const told = typeof decided === 'object' ? decided : {};
  showTold('drift', drift(), drifted());
  showTold('policy', { in_words: told.in_words ?? (typeof policy === 'string' ? policy : undefined), ...told, ...(earlier?.length ? { earlier } : {}) });
  const says = [data.basis, 'It holds for images like those; where the incoming ones have changed more than expected, it is too low.'].join(' ');
  const seen = provenance.images_that_fitted_the_screener;
  const trusted = seen ? `${plural(seen, 'image', 'images')} of this screening fitted the screener; their p_wrong is too low to be trusted.` : null;
  const notes = [trusted, ...(provenance.notes ?? [])].filter(Boolean);
  fill(byId('basis-panel'), {}, [
    make('p', { class: 'says' }, says),
    notes.length ? make('ul', { class: 'says' }, notes.map((note) => make('li', {}, name(note)))) : null,
    make('details', {}, make('summary', {}, 'Everything the screening says of itself'), tree(rest)),
  ]);
}
