// ---- heat maps: a few bytes an image, coloured and smoothed by the browser

function heatOf(encoded, box) {
  const values = Uint8Array.from(atob(encoded), (c) => c.charCodeAt(0));
  const side = Math.round(Math.sqrt(values.length));
  const canvas = make('canvas', { class: 'heat', width: side, height: side, 'aria-hidden': 'true' });
  const pixels = new ImageData(side, side);
  values.forEach((value, i) => pixels.data.set([255, 215 - value * 0.75, 60 - value * 0.2, 205 * (value / 255) ** 1.5], 4 * i));
  canvas.getContext('2d').putImageData(pixels, 0, 0);
  const [left, top, width, height] = box.map((share) => `${100 * share}%`);
  Object.assign(canvas.style, { left, top, width, height });
  return canvas;
}

function toggleHeat(button) {
  state.heat = !state.heat;
  button.setAttribute('aria-pressed', String(state.heat));
  document.body.classList.toggle('cool', !state.heat);
}

// ---- one image and everything known of it

function facts(image) {
  const entries = [
    ['p_wrong', image.p === undefined ? 'not known' : fixed(image.p)],
    ['Rank', `${whole(image.rank)} of ${whole(counts.images)}`],
    ['Predicted', className(image.predicted)],
    image.suggested ? ['Suggested', `${className(image.suggested[0])}, ${fixed(image.suggested[1])}`] : null,
    ['Label', image.label === undefined ? 'none' : className(image.label)],
    ['Confidence', fixed(image.confidence)],
    image.size ? ['Size', `${image.size[0]} × ${image.size[1]} pixels`] : null,
    image.error !== undefined ? ['Error', image.error] : null,
  ];
  return make('dl', { class: 'facts' }, entries.filter(Boolean).map(([key, value]) => make('div', {}, make('dt', {}, key), make('dd', {}, name(value)))));
}

function probabilities(image) {
  if (!image.top) return null;
  const rows = image.top.map(([k, p]) => make('tr', {}, make('th', { scope: 'row' }, name(classes[k])), make('td', { class: 'wide' }, bar(p)), make('td', { class: 'value' }, fixed(p))));
  return [make('h3', {}, 'What the classifier says'), make('table', { class: 'signals' }, make('tbody', {}, rows))];
}

function signals(image) {
  if (!image.scores) return null;
  const rows = data.estimators.map((title, i) => make('tr', {}, make('th', { scope: 'row' }, words(title)), make('td', { class: 'wide' }, bar(image.standing[i] / 100)), make('td', { class: 'value' }, `${image.standing[i]}%`, make('small', {}, ` ${Number(image.scores[i]?.toPrecision(3))}`))));
  return [make('h3', {}, 'Signals'), make('p', { class: 'says' }, 'How many percent of the images have a lower score, and the score itself.'), make('table', { class: 'signals' }, make('tbody', {}, rows))];
}

function known(image) {
  if (!image.near) return null;
  const one = (group) => make('figure', { class: 'near' },
    make('figcaption', {}, group.title, ' ', make('b', {}, name(classes[group.class]))),
    make('div', { class: 'row' }, group.pictures.map((k, i) => make('span', {}, make('img', { src: data.known_good[k], alt: '', loading: 'lazy', width: 88, height: 88 }), group.distances ? make('small', {}, fixed(group.distances[i], 2)) : null))));
  return [make('h3', {}, 'Known-good images like it'), make('div', { class: 'nears' }, image.near.map(one))];
}

function large(image) {
  const holder = make('div', { class: 'large' }, picture(image, 320));
  if (!image.heat) return holder;
  const titles = [['none', 'image'], [0, `why ${className(image.predicted)}`], [1, `why ${className(image.heat_other)}`]].filter(([k]) => k === 'none' || image.heat[k]);
  const show = (which) => {
    holder.querySelector('canvas')?.remove();
    if (which !== 'none') holder.append(heatOf(image.heat[which], image.heat_box));
  };
  const radios = titles.map(([which, text], i) => make('label', {}, make('input', { type: 'radio', name: 'heat', checked: i === 1, onchange: () => show(which) }), text));
  show(0);
  return [holder, make('fieldset', { class: 'views' }, make('legend', {}, 'Where the classifier looks'), radios)];
}

function openDetails(image) {
  const dialog = byId('details');
  const list = images.filter(matches).sort(ORDERS[filter.order][1]);
  const at = list.indexOf(image);
  const go = (step) => { if (list[at + step]) openDetails(list[at + step]); };
  const step = (title, by) => make('button', { type: 'button', class: 'quiet', disabled: !list[at + by], onclick: () => go(by) }, title);
  const why = reasonsOf(image);
  dialog.replaceChildren();
  fill(dialog, {}, [
    make('header', {}, badge(outcome(image)), make('h2', { id: 'details-name' }, name(image.name)), make('button', { type: 'button', class: 'quiet', onclick: () => dialog.close() }, 'Close')),
    make('div', { class: 'body', tabindex: '0', role: 'region', 'aria-label': 'Details' },
      make('div', {}, large(image), facts(image), why.length ? [make('h3', {}, 'Reasons'), make('ul', { class: 'why' }, why.map((reason) => make('li', {}, words(shown(reason)))))] : null),
      make('div', {}, known(image), probabilities(image), signals(image))),
    make('footer', {}, step('← Previous', -1), make('span', {}, `${whole(at + 1)} of ${whole(list.length)}`), step('Next →', 1)),
  ]);
  dialog.onkeydown = (event) => {
    if (event.target.matches('input')) return;
    if (event.key === 'ArrowLeft') go(-1);
    if (event.key === 'ArrowRight') go(1);
  };
  if (!dialog.open) {
    dialog.showModal();
    dialog.onclose = () => cards.get(image)?.node.querySelector('.shot').focus();
  }
  dialog.querySelector('.body').focus();
}
