// ---- several labels: which images show a decision on a class, or on any

const DECISIONS = {
  given: ['given', (image, k) => image.predicted.includes(k)],
  left: ['not given', (image, k) => !image.predicted.includes(k)],
  wrong: ['wrongly given', (image, k) => wronglyGiven(image).includes(k)],
  lost: ['not recognised', (image, k) => notRecognised(image).includes(k)],
  open: ['not answered', (image, k) => Boolean(image.unanswered?.includes(k))],
};
const DOUBTS = { 0.1: 'at least 10%', 0.25: 'at least 25%', 0.5: 'at least 50%' };

const doubtIn = (image, k) => image.doubts.find(([one]) => one === k)?.[1] ?? -1;
const doubtOf = (image) => (filter.class === '' || !image.doubts ? image.doubts?.[0]?.[1] ?? -1 : doubtIn(image, Number(filter.class)));

function isDoubted(image, k, asked) {
  if (asked === '') return true;
  return asked === 'flagged' ? Boolean(image.flagged_labels?.includes(k)) : doubtIn(image, k) >= Number(asked);
}

function matchesDecision(image, asked) {
  if (asked.class === '' && asked.decision === '' && asked.doubt === '' && !asked.together) return true;
  if (image.predicted === undefined) return false;
  if (asked.together && !asked.together.pair.every((k) => listOf(image[asked.together.of]).includes(k))) return false;
  const ks = asked.class === '' ? classes.keys() : [Number(asked.class)];
  const plain = asked.class !== '' && asked.decision === '' && asked.doubt === '';
  for (const k of ks) {
    if (plain ? image.predicted.includes(k) || listOf(image.label).includes(k) : (asked.decision === '' || DECISIONS[asked.decision][1](image, k)) && isDoubted(image, k, asked.doubt)) return true;
  }
  return asked.class === '' && asked.decision === '' && asked.doubt === '';
}

function decisionChoices() {
  const present = Object.entries(DECISIONS).filter(([key]) => judged || ['given', 'left'].includes(key));
  const doubts = images.some((image) => image.doubts?.some(([, doubt]) => isNumber(doubt))) ? Object.entries(DOUBTS) : [];
  const flagged = images.some((image) => image.flagged_labels) ? [['flagged', 'flagged']] : [];
  return [
    choice('decision', 'Decision on it', [option('', 'all'), ...present.map(([key, [text]]) => option(key, text))]),
    choice('doubt', 'p_wrong of it', [option('', 'all'), ...[...doubts, ...flagged].map(([key, text]) => option(key, text))]),
  ];
}

// ---- class by class

const MOST_BESIDE = 8;

function curveChart(title, curve, positives, at) {
  const points = curve.given.map((given, i) => [curve.hits[i] / positives, given ? curve.hits[i] / given : 1]);
  const paint = (width) => {
    const x = scale(0, 1, MARGIN.left, width - MARGIN.right);
    const y = scale(0, 1, HEIGHT - MARGIN.bottom, MARGIN.top);
    const spot = (i, kind) => draw('circle', { class: kind, cx: x(points[i][0]), cy: y(points[i][1]), r: 6 });
    return [
      axes(width, x, y, [0, 0.25, 0.5, 0.75, 1], [0, 0.25, 0.5, 0.75, 1].map((v) => [v, tick(v)]), 'recall', tick),
      draw('path', { class: 'curve', d: path(points.map(([r, p]) => [x(r), y(p)])) }),
      spot(curve.present, 'dot'),
      spot(at(), 'spot'),
    ];
  };
  const says = 'Precision by recall, on the labelled images. The large dot is the threshold chosen, the small one that of the classifier; higher is better.';
  const rows = curve.threshold.map((t, i) => [i ? probability(t) : 'none given', percent(points[i][0]), i ? percent(points[i][1]) : '–', whole(curve.given[i])]);
  return figure(title, says, [], paint, () => table('Precision and recall by threshold', ['threshold', 'recall', 'precision', 'given'], rows));
}

function thresholdSlider(one) {
  const { curve, carried, n } = one;
  const slider = make('input', { type: 'range', id: 'threshold', min: 0, max: curve.given.length - 1, step: 1, value: curve.present });
  const label = make('label', { for: 'threshold' });
  const tiles = make('dl', { class: 'tiles small' });
  const reset = make('button', { type: 'button', class: 'quiet' }, 'As it was decided');
  const at = () => Number(slider.value);
  const chart = curveChart(`Precision and recall of ${className(one.class)}`, curve, carried, at);
  const show = () => {
    const [given, hits] = [curve.given[at()], curve.hits[at()]];
    label.replaceChildren('Say ', make('strong', {}, classNamed(one.class)), at() ? ` from a probability of ${probability(curve.threshold[at()])} on` : ' never');
    slider.setAttribute('aria-valuetext', at() ? `from ${probability(curve.threshold[at()])} on` : 'never');
    reset.disabled = at() === curve.present;
    tiles.replaceChildren(
      tile('Given', whole(given), `of ${whole(n)} answered`, 'alarm'),
      tile('Precision', given ? percent(hits / given) : '–', `${whole(given - hits)} wrongly given`, 'caught'),
      tile('Recall', percent(hits / carried), `${whole(carried - hits)} not recognised`, 'right'),
    );
    chart.repaint();
  };
  slider.addEventListener('input', show);
  reset.addEventListener('click', () => { slider.value = curve.present; slider.focus(); show(); });
  show();
  return [make('div', { class: 'slider' }, label, slider, reset), tiles, chart.node];
}

const heatFor = (image, k) => {
  const which = image.heat ? askedOf(image).indexOf(k) : -1;
  return which < 0 ? null : heatOf(image.heat[which], image.heat_box);
};

function strip(title, list, k, wanted) {
  if (!list.length) return null;
  const shownHere = list.slice(0, MOST_BESIDE);
  const cells = shownHere.map((image) => make('li', {}, shot(image, () => openDetails(image, list, () => byId('one-class').focus()), heatFor(image, k)), make('p', { class: 'says' }, doubtIn(image, k) < 0 ? '' : `p_wrong ${probability(doubtIn(image, k), 2)}`)));
  const all = make('button', { type: 'button', class: 'pair', onclick: () => openImages(wanted) }, `all ${whole(list.length)} of the gallery`);
  return make('div', { class: 'beside-class' }, make('h3', {}, title, ' ', all), scrolling(title, make('ul', { class: 'worst' }, cells)));
}

// Known-good images that carry the class: those nearest to the images whose decision on it was looked at.
function knownGoodOf(k) {
  const pictures = new Set(images.flatMap((image) => (image.near ?? []).filter((group) => group.class === k).flatMap((group) => group.pictures)));
  if (!pictures.size) return null;
  const cells = [...pictures].slice(0, MOST_BESIDE).map((i) => cell('', good(i, 88)));
  return make('figure', { class: 'near' }, make('figcaption', {}, 'Known-good ', make('b', {}, classNamed(k)), ': how it should look'), make('div', { class: 'row' }, cells));
}

function classPanel(one) {
  const k = one.class;
  const of = (key) => images.filter((image) => image.predicted && DECISIONS[key][1](image, k));
  const doubted = images.filter((image) => image.doubts?.length && doubtIn(image, k) >= 0.1).sort((a, b) => doubtIn(b, k) - doubtIn(a, k));
  return [
    one.curve ? thresholdSlider(one) : make('p', { class: 'says' }, one.n === undefined ? 'No label tells what it is, so there is no curve.' : 'It is never there among the labelled images, or always, or has no probability, so there is no curve.'),
    strip(`Wrongly given: ${className(k)}`, of('wrong'), k, { class: String(k), decision: 'wrong' }),
    knownGoodOf(k),
    strip(`Not recognised: ${className(k)}`, of('lost'), k, { class: String(k), decision: 'lost' }),
    judged ? null : strip(`In doubt: ${className(k)}`, doubted, k, { class: String(k), doubt: '0.1', order: 'doubt' }),
  ];
}

function decisionRow(one, open) {
  const told = evaluation?.decisions?.per_class?.find((row) => row.class_name === classes[one.class]);
  const hits = one.n === undefined ? null : one.carried - one.not_recognised;
  return [
    make('button', { type: 'button', class: 'pair', onclick: () => open(one.class) }, classNamed(one.class)),
    whole(one.said),
    isNumber(one.expected) ? fixed(one.expected, 1) : '–',
    ...(one.flagged === null ? [] : [whole(one.flagged)]),
    ...(judged ? [
      one.n === undefined ? '0' : whole(one.n),
      one.n === undefined ? '–' : whole(one.wrongly_given),
      one.n === undefined ? '–' : whole(one.not_recognised),
      hits === null || !(hits + one.wrongly_given) ? '–' : percent(hits / (hits + one.wrongly_given)),
      hits === null || !one.carried ? '–' : percent(hits / one.carried),
      fixed(told?.auroc),
    ] : []),
  ];
}

function showDecisions() {
  if (!several || counts.images === counts.unreadable) return;
  byId('decisions').hidden = false;
  const weight = (one) => (one.n === undefined ? 0 : one.wrongly_given + one.not_recognised) + (one.expected ?? 0) / 1e6;
  const order = several.by_class.toSorted((a, b) => weight(b) - weight(a));
  const panel = make('div', { id: 'one-class', tabindex: '-1' });
  const select = make('select', { id: 'shown-class', onchange: () => show(Number(select.value)) }, several.by_class.map((one) => option(one.class, className(one.class))));
  const show = (k) => { select.value = k; panel.replaceChildren(...classPanel(several.by_class[k]).flat(Infinity).filter(Boolean)); };
  const open = (k) => { show(k); byId('shown-class').focus({ preventScroll: true }); byId('shown-class').scrollIntoView({ block: 'center' }); };
  const head = ['class', 'given', 'errors expected', ...(order[0].flagged === null ? [] : ['flagged']), ...(judged ? ['answered', 'wrongly given', 'not recognised', 'precision', 'recall', 'AUROC of p_wrong'] : [])];
  const caption = 'Every class is a decision of its own; those with most errors first. Choose one to see it below.';
  fill(byId('decisions-panel'), {}, [
    scrolling('Table of decisions', table(caption, head, order.map((one) => decisionRow(one, open)))),
    make('label', { class: 'choice of-class' }, 'Class shown', select),
    panel,
  ]);
  show(order[0].class);
}
