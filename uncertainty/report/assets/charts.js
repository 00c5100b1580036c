// ---- charts: SVG drawn for the width there is, with a table of the same numbers below

const HEIGHT = 260;
const MARGIN = { top: 14, right: 24, bottom: 40, left: 50 };

function figure(title, says, legend, paint, numbers) {
  const canvas = make('div', { class: 'canvas' });
  const label = `${title}. ${says}`;
  const repaint = () => {
    const width = Math.max(240, canvas.clientWidth);
    canvas.replaceChildren(
      draw('svg', { viewBox: `0 0 ${width} ${HEIGHT}`, width, height: HEIGHT, role: 'img', 'aria-label': label }, paint(width)),
    );
  };
  new ResizeObserver(repaint).observe(canvas);
  const node = make(
    'figure',
    { class: 'panel' },
    make('figcaption', {}, make('h3', {}, title), make('p', {}, says)),
    legend.length ? make('ul', { class: 'legend' }, legend.map(([kind, text]) => make('li', { class: kind }, text))) : null,
    canvas,
    make('details', {}, make('summary', {}, 'Numbers'), scrolling(`Numbers: ${title}`, numbers())),
  );
  return { node, repaint };
}

const scale = (from, to, low, high) => (value) => low + ((value - from) / (to - from || 1)) * (high - low);
const root = (value) => Math.sqrt(Math.max(0, value));
const SHARES = [0, 0.01, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1];
const tick = (share) => `${Number((100 * share).toFixed(2))}%`;

function steps(largest) {
  const step = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.25].find((one) => largest / one <= 5) ?? 0.25;
  return Array.from({ length: Math.floor(largest / step + 1e-9) + 1 }, (_, i) => i * step);
}

function axes(width, x, y, xTicks, yTicks, xTitle, format = tick) {
  const bottom = HEIGHT - MARGIN.bottom;
  return [
    yTicks.map(([value, text]) => [
      draw('line', { class: 'grid', x1: MARGIN.left, x2: width - MARGIN.right, y1: y(value), y2: y(value) }),
      draw('text', { class: 'tick', x: MARGIN.left - 8, y: y(value) + 4, 'text-anchor': 'end' }, text),
    ]),
    xTicks.map((value) => draw('text', { class: 'tick', x: x(value), y: bottom + 17, 'text-anchor': 'middle' }, format(value))),
    draw('text', { class: 'axis', x: (MARGIN.left + width - MARGIN.right) / 2, y: HEIGHT - 5, 'text-anchor': 'middle' }, xTitle),
  ];
}

const path = (points) => points.map(([x, y], i) => `${i ? 'L' : 'M'}${x.toFixed(1)} ${y.toFixed(1)}`).join('');

// ---- risk and coverage

const CURVES = [
  ['perfect', 'a perfect ranking'],
  ['max_softmax', 'max softmax'],
  ['p_wrong', 'p_wrong'],
];

function riskChart({ coverage, risk }) {
  const present = CURVES.filter(([key]) => risk[key]);
  const top = Math.max(0.01, 1.25 * risk.p_wrong.at(-1), ...risk.p_wrong.filter((_, i) => coverage[i] > 0.1));
  const paint = (width) => {
    const x = scale(0, 1, MARGIN.left, width - MARGIN.right);
    const y = scale(0, top, HEIGHT - MARGIN.bottom, MARGIN.top);
    const curve = (key) => path(coverage.map((share, i) => [x(share), y(Math.min(risk[key][i], top))]));
    const at = standing();
    const spot = at.coverage > 0 ? [
      draw('line', { class: 'cut', x1: x(at.coverage), x2: x(at.coverage), y1: MARGIN.top, y2: HEIGHT - MARGIN.bottom }),
      draw('circle', { class: 'spot', cx: x(at.coverage), cy: y(Math.min(at.risk, top)), r: 6 }),
    ] : [];
    return [
      axes(width, x, y, [0, 0.25, 0.5, 0.75, 1], steps(top).map((v) => [v, tick(v)]), 'share of images kept'),
      present.map(([key]) => draw('path', { class: `curve ${key}`, d: curve(key) })),
      spot,
    ];
  };
  const says = 'The error rate of what is kept, when the most suspicious images are taken out. The dot is the budget chosen above; lower is better.';
  const every = coverage.map((share, i) => [percent(share), ...present.map(([key]) => percent(risk[key][i]))]);
  const numbers = () => table('Error rate of what is kept', ['kept', ...present.map(([, text]) => text)], every.filter((_, i) => i % 12 === 11 || i === every.length - 1));
  return figure('Risk and coverage', says, present.toReversed(), paint, numbers);
}

// ---- histogram

function histogramChart({ edges, counts: groups }) {
  const keys = Object.keys(groups);
  const total = Object.fromEntries(keys.map((key) => [key, groups[key].reduce((a, b) => a + b, 0)]));
  const share = (key, i) => groups[key][i] / (total[key] || 1);
  const up = judged ? 'wrong' : 'all';
  const paint = (width) => {
    const x = scale(0, 1, MARGIN.left, width - MARGIN.right);
    const middle = judged ? (HEIGHT - MARGIN.bottom + MARGIN.top) / 2 : HEIGHT - MARGIN.bottom;
    const top = Math.max(0.01, ...keys.flatMap((key) => groups[key].map((_, i) => root(share(key, i)))));
    const height = scale(0, top, 0, middle - MARGIN.top);
    const y = (signed) => middle - Math.sign(signed) * height(root(Math.abs(signed)));
    const ticks = SHARES.filter((s) => root(s) <= top && s !== 0.01).flatMap((s) => (judged && s ? [s, -s] : [s]));
    const spread = ticks.filter((s, i) => !ticks.some((t, j) => j < i && Math.abs(y(t) - y(s)) < 16));
    const box = (key, i) => {
      const size = height(root(share(key, i)));
      const from = x(edges[i]) + 1;
      return draw('rect', { class: key, x: from, width: x(edges[i + 1]) - from - 1, y: key === up ? middle - size : middle, height: size, rx: 1.5 });
    };
    return [
      axes(width, x, y, [0, 0.25, 0.5, 0.75, 1], spread.map((s) => [s, tick(Math.abs(s))]), 'p_wrong', (v) => v),
      keys.flatMap((key) => groups[key].map((_, i) => (groups[key][i] ? box(key, i) : null))).filter(Boolean),
      draw('line', { class: 'zero', x1: MARGIN.left, x2: width - MARGIN.right, y1: middle, y2: middle }),
    ];
  };
  const says = judged
    ? 'Where the errors lie (upwards) and where the right answers lie (downwards), each as a share of its own; the scale is the square root, so that few are still seen.'
    : 'How suspicious the images are; the scale is the square root, so that few are still seen.';
  const legend = judged ? [['wrong', `${plural(total.wrong, 'error', 'errors')}`], ['right', `${whole(total.right)} right`]] : [];
  const rows = edges.slice(0, -1).map((from, i) => [`${fixed(from, 2)} to ${fixed(edges[i + 1], 2)}`, ...keys.map((key) => whole(groups[key][i]))]);
  return figure('How suspicious', says, legend, paint, () => table('Images by p_wrong', ['p_wrong', ...keys], rows));
}

// ---- reliability

function reliabilityChart(bins) {
  const paint = (width) => {
    const low = root(Math.min(1, Math.max(0.1, ...bins.map((b) => Math.max(b.predicted, b.high)))));
    const x = scale(0, low, MARGIN.left, width - MARGIN.right);
    const y = scale(0, low, HEIGHT - MARGIN.bottom, MARGIN.top);
    const ticks = SHARES.filter((s) => root(s) <= low);
    const dots = bins.map((b) => [
      draw('line', { class: 'whisker', x1: x(root(b.predicted)), x2: x(root(b.predicted)), y1: y(root(b.low)), y2: y(root(b.high)) }),
      draw('circle', { class: 'dot', cx: x(root(b.predicted)), cy: y(root(b.observed)), r: 4.5 }),
    ]);
    const rooted = (place) => (value) => place(root(value));
    return [
      axes(width, rooted(x), rooted(y), ticks, ticks.map((s) => [s, tick(s)]), 'predicted: mean p_wrong'),
      draw('line', { class: 'diagonal', x1: x(0), y1: y(0), x2: x(low), y2: y(low) }),
      dots,
    ];
  };
  const error = evaluation && isNumber(evaluation.ece) ? ` Calibration error ${percent(evaluation.ece)}.` : '';
  const says = `Of the images with such a p_wrong, the share that is wrong, in ${bins.length} groups of equal size with 95 % intervals; on the line the prediction is exact.${error}`;
  const rows = bins.map((b) => [percent(b.predicted), percent(b.observed), `${percent(b.low)} to ${percent(b.high)}`, whole(b.n)]);
  return figure('Predicted and true', says, [], paint, () => table('Predicted and observed share of errors', ['predicted', 'observed', '95 % interval', 'images'], rows));
}

// ---- signals

function signalsChart({ scores, intervals }) {
  const rows = Object.entries(scores).filter(([, s]) => isNumber(s.auroc)).sort((a, b) => b[1].auroc - a[1].auroc);
  if (!rows.length) return null;
  const from = Math.min(0.5, ...rows.map(([, s]) => s.auroc));
  const line = ([key, s]) => {
    const interval = intervals?.[key]?.auroc;
    const mark = bar((s.auroc - from) / (1 - from), key === 'p_wrong' ? 'strong' : '');
    const range = interval ? ` ${fixed(interval.low)} to ${fixed(interval.high)}` : '';
    const title = key === 'p_wrong' ? 'p_wrong' : words(key.replace(/^est_/, ''));
    return make('tr', { class: key === 'p_wrong' ? 'strong' : '' }, make('th', { scope: 'row' }, title), make('td', { class: 'wide' }, mark), make('td', { class: 'value' }, fixed(s.auroc), make('small', {}, range)));
  };
  const says = 'How often an error has a higher score than a right answer (AUROC): 1 is perfect, 0.5 is chance. All of them together make p_wrong.';
  const head = make('thead', { class: 'unseen' }, make('tr', {}, ['signal', 'bar', 'AUROC, 95 % interval'].map((t) => make('th', { scope: 'col' }, t))));
  const body = make('table', { class: 'signals' }, head, make('tbody', {}, rows.map(line)));
  return make('figure', { class: 'panel' }, make('figcaption', {}, make('h3', {}, 'Which signal finds the errors'), make('p', {}, says)), scrolling('Signals', body));
}
