// ---- heat maps, coloured and smoothed by the browser, and said in words

// Yellow to red, and clear where nothing speaks for the class; the legend in the style sheet has the same colours.
function coloured(value) {
  return [255, 215 - value * 0.75, 60 - value * 0.2, 205 * (value / 255) ** 1.5];
}

const valuesOf = (encoded) => Uint8Array.from(atob(encoded), (c) => c.charCodeAt(0));

function placedIn(node, box) {
  const [left, top, width, height] = box.map((share) => `${100 * share}%`);
  Object.assign(node.style, { left, top, width, height });
  return node;
}

function heatOf(encoded, box) {
  const values = valuesOf(encoded);
  const side = Math.round(Math.sqrt(values.length));
  const canvas = make('canvas', { class: 'heat', width: side, height: side, 'aria-hidden': 'true' });
  const pixels = new ImageData(side, side);
  values.forEach((value, i) => pixels.data.set(coloured(value), 4 * i));
  canvas.getContext('2d').putImageData(pixels, 0, 0);
  return placedIn(canvas, box);
}

const fineOf = (source, box) => make('span', { class: 'fine' }, placedIn(make('img', { src: source, alt: '', onload: crisp }), box));

// Which ninth of what the network sees has most of the heat, in words.
function whereIn(encoded) {
  const values = valuesOf(encoded);
  const side = Math.round(Math.sqrt(values.length));
  const ninths = new Array(9).fill(0);
  const third = (at) => Math.min(2, Math.floor((3 * at) / side));
  values.forEach((value, i) => { ninths[3 * third(Math.floor(i / side)) + third(i % side)] += value; });
  const total = ninths.reduce((a, b) => a + b, 0);
  if (!total) return 'nothing in the image speaks for it';
  const largest = ninths.indexOf(Math.max(...ninths));
  if (ninths[largest] / total < 0.2) return 'all over the image';
  const rows = ['upper', 'middle', 'lower'];
  const columns = ['left', 'middle', 'right'];
  const [row, column] = [rows[Math.floor(largest / 3)], columns[largest % 3]];
  return largest === 4 ? 'mostly in the middle' : `mostly at the ${row} ${column}`;
}

const legend = (kind) => make('span', { class: 'scale' }, 'nothing', make('span', { class: `colours ${kind}`, 'aria-hidden': 'true' }), 'most of what speaks for it');

function heatInWords(kind, k, encoded) {
  const of = make('b', {}, classNamed(k));
  if (kind === 'fine') return ['Guided Grad-CAM: the edges and spots that speak for ', of, '; the brighter, the more.'];
  return ['Grad-CAM: where the classifier looks for ', of, `: ${whereIn(encoded)}. Each map is scaled by its own maximum, so two maps don’t tell how much.`];
}

function toggleHeat(button) {
  state.heat = !state.heat;
  button.setAttribute('aria-pressed', String(state.heat));
  document.body.classList.toggle('cool', !state.heat);
}
