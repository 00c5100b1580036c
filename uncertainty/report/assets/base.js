// ---- the data, and how it is said

const data = JSON.parse(document.getElementById('data').textContent);
const { counts, classes, budget, images } = data;
const evaluation = data.evaluation;
const judged = counts.labelled > 0;
// Where images have several labels: class by class and pair by pair; an image then has lists of class numbers.
const several = data.several ?? null;

// k: how many readable images are looked at; null as long as the flags are those of the screening.
const state = { k: null, heat: true };

const byId = (id) => document.getElementById(id);
const isNumber = (value) => typeof value === 'number' && Number.isFinite(value);
const whole = (value) => value.toLocaleString('en');
const plural = (n, one, many) => `${whole(n)} ${n === 1 ? one : many}`;
const likely = (p) => (p > 0.99 ? 'over 99%' : p < 0.01 ? 'under 1%' : `${Math.round(100 * p)}%`);
const percent = (share, digits = 1) => (isNumber(share) ? `${(100 * share).toFixed(digits)}%` : 'can’t be said');
const fixed = (value, digits = 3) => (isNumber(value) ? value.toFixed(digits) : '–');
// A probability above 0 and below 1 is called neither, however few its digits.
const probability = (p, digits = 3) => {
  const text = fixed(p, digits);
  if (p > 0 && Number(text) === 0) return `<${(10 ** -digits).toFixed(digits)}`;
  return p < 1 && Number(text) === 1 ? `>${(1 - 10 ** -digits).toFixed(digits)}` : text;
};
const words = (name) => String(name).replaceAll('_', ' ');

// What would break the line, or turn the reading direction of what follows, is shown as its code.
const UNSEEN = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]/g;
const shown = (text) => String(text).replace(UNSEEN, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`);
const className = (k) => (k === undefined || k === null ? '–' : shown(classes[k]) || '(none)');

const NAMESPACE = 'http://www.w3.org/2000/svg';

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith('on')) node.addEventListener(name.slice(2), value);
    else if (value === true) node.setAttribute(name, name.startsWith('aria-') ? 'true' : '');
    else if (value !== false && value !== null && value !== undefined) node.setAttribute(name, value);
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

// Elements are made here alone, and text is never parsed as HTML.
const make = (tag, attributes = {}, ...children) => fill(document.createElement(tag), attributes, children);
const draw = (tag, attributes = {}, ...children) => fill(document.createElementNS(NAMESPACE, tag), attributes, children);
const name = (text) => make('bdi', {}, shown(text));
const classNamed = (k) => name(className(k));

const listOf = (k) => (k === undefined ? [] : [k].flat());
const labelText = (k) => (Array.isArray(k) ? k.map(className).join(', ') || 'no label' : className(k));
const labelsNamed = (list) => (list.length ? list.map((k, i) => [i ? ', ' : '', classNamed(k)]) : 'no label');
// The classes that the two heat maps of an image are of.
const askedOf = (image) => image.heat_of ?? [image.predicted, image.heat_other];

function bar(share, kind = '') {
  const part = make('span', { class: `part ${kind}` });
  part.style.width = `${Math.max(0, Math.min(1, share)) * 100}%`;
  return make('span', { class: 'meter', 'aria-hidden': 'true' }, part);
}

function table(caption, head, rows) {
  return make(
    'table',
    {},
    make('caption', {}, make('span', {}, caption)),
    make('thead', {}, make('tr', {}, head.map((text) => make('th', { scope: 'col' }, text)))),
    make('tbody', {}, rows.map((row) => make('tr', {}, row.map((cell, i) => make(i ? 'td' : 'th', i ? {} : { scope: 'row' }, cell))))),
  );
}

// What is wider than the page scrolls by itself, by keyboard too, with a shadow and an arrow where there is more.
const scrolling = (label, ...children) => hinted(make('div', { class: 'scrolling', tabindex: '0', role: 'region', 'aria-label': label }, ...children));

function hinted(node) {
  const frame = make('div', { class: 'hinted' });
  if (node.isConnected) node.before(frame);
  frame.append(node);
  const look = () => {
    frame.classList.toggle('more-before', node.scrollLeft > 4);
    frame.classList.toggle('more-after', node.scrollWidth - node.clientWidth - node.scrollLeft > 4);
  };
  node.addEventListener('scroll', look, { passive: true });
  const watching = new ResizeObserver(look);
  for (const one of [node, ...node.children]) watching.observe(one);
  return frame;
}

// ---- outcomes

const OUTCOMES = {
  caught: { title: 'caught', says: 'wrong, and flagged', sign: '●' },
  missed: { title: 'missed', says: 'wrong, and not flagged', sign: '▲' },
  alarm: { title: 'false alarm', says: 'right, and flagged', sign: '◆' },
  right: { title: 'right', says: 'right, and not flagged', sign: '○' },
  flagged: { title: 'flagged', says: 'flagged; no label', sign: '●' },
  passed: { title: 'not flagged', says: 'not flagged; no label', sign: '○' },
  unreadable: { title: 'unreadable', says: 'could not be read, and is flagged', sign: '✕' },
};

const isFlagged = (image) => (state.k === null ? image.flagged : image.rank <= state.k);

function outcome(image) {
  if (image.error !== undefined) return 'unreadable';
  const flagged = isFlagged(image);
  if (image.wrong === undefined) return flagged ? 'flagged' : 'passed';
  if (image.wrong) return flagged ? 'caught' : 'missed';
  return flagged ? 'alarm' : 'right';
}

const badge = (kind) =>
  make('span', { class: `badge ${kind}` }, make('span', { 'aria-hidden': 'true' }, OUTCOMES[kind].sign), ` ${OUTCOMES[kind].title}`);
