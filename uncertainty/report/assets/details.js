// ---- one image and everything known of it: reasons first

function facts(image) {
  const entries = [
    ['p_wrong', image.p === undefined ? 'not known' : probability(image.p)],
    ['Rank', `${whole(image.rank)} of ${whole(counts.images)}`],
    ['Predicted', labelText(image.predicted)],
    image.suggested ? ['Suggested', `${labelText(image.suggested[0])}, ${probability(image.suggested[1])}`] : null,
    ['Label', image.label === undefined ? 'none' : labelText(image.label)],
    image.unanswered?.length ? ['Not answered', labelText(image.unanswered)] : null,
    ['Confidence', probability(image.confidence)],
    image.size ? ['Size', `${image.size[0]} × ${image.size[1]} pixels`] : null,
    image.error !== undefined ? ['Error', image.error] : null,
  ];
  return make('dl', { class: 'facts' }, entries.filter(Boolean).map(([key, value]) => make('div', {}, make('dt', {}, key), make('dd', {}, name(value)))));
}

// Of several labels: each decision, the most doubtful first.
function decisionsOf(image) {
  const rows = image.doubts.map(([k, doubt, p]) => [classNamed(k), image.predicted.includes(k) ? 'given' : 'not given', probability(p), probability(doubt)]);
  const more = classes.length > rows.length ? ` ${rows.length} of ${whole(classes.length)}.` : '';
  return [make('h3', {}, 'Each decision'), scrolling('Each decision', table(`The most doubtful first.${more}`, ['label', 'said', 'probability', 'p_wrong'], rows))];
}

function probabilities(image) {
  if (image.doubts?.length) return decisionsOf(image);
  if (!image.top) return null;
  const rows = image.top.map(([k, p]) => make('tr', {}, make('th', { scope: 'row' }, classNamed(k)), make('td', { class: 'wide' }, bar(p)), make('td', { class: 'value' }, probability(p))));
  return [make('h3', {}, 'What the classifier says'), make('table', { class: 'signals' }, make('tbody', {}, rows))];
}

function signals(image) {
  if (!image.scores) return null;
  const rows = data.estimators.map((title, i) => make('tr', {}, make('th', { scope: 'row' }, words(title)), make('td', { class: 'wide' }, bar(image.standing[i] / 100)), make('td', { class: 'value' }, `${image.standing[i]}%`, make('small', {}, ` ${Number(image.scores[i]?.toPrecision(3))}`))));
  return [make('h3', {}, 'Signals'), make('p', { class: 'says' }, 'How many percent of the images have a lower score, and the score itself.'), make('table', { class: 'signals' }, make('tbody', {}, rows))];
}

// ---- in one frame: the class as it should look, and what was taken for it

const ROLES = { predicted: 'how it should look', 'true class': 'what it is', 'runner-up': 'the runner-up', 'wrongly given': 'how it should look, wrongly given here', 'not recognised': 'not recognised here', 'in doubt': 'in doubt here' };

const cell = (text, ...parts) => make('span', { class: 'cell' }, make('span', { class: 'square' }, parts), make('small', {}, text));

function knownGood(image, group) {
  const pictures = group.pictures.map((k, i) => cell(group.distances ? `distance ${fixed(group.distances[i], 2)}` : '', good(k, 88)));
  return make('figure', { class: 'near' }, make('figcaption', {}, 'Known-good ', make('b', {}, classNamed(group.class)), `: ${ROLES[group.title] ?? group.title}`), make('div', { class: 'row' }, pictures));
}

function taken(image) {
  const views = [cell('the image', picture(image, 88))];
  if (image.heat) views.push(cell('where it looks', picture(image, 88), heatOf(image.heat[0], image.heat_box)));
  if (image.guided) views.push(cell('which details', fineOf(image.guided[0], image.heat_box)));
  const what = several ? ['Said: ', make('b', {}, labelsNamed(image.predicted))] : ['Taken for ', make('b', {}, classNamed(image.predicted))];
  return make('figure', { class: 'near' }, make('figcaption', {}, what, ': this image'), make('div', { class: 'row' }, views));
}

function compared(image) {
  if (image.predicted === undefined || !(image.near?.length || image.guided)) return null;
  const [first, ...others] = image.near ?? [];
  return [make('h3', {}, 'Beside known-good images'), make('div', { class: 'frame' }, first ? knownGood(image, first) : null, taken(image), others.map((group) => knownGood(image, group)))];
}

// ---- the image, and the maps of where the classifier looks

function viewsOf(image) {
  const [first, other] = askedOf(image);
  const asked = [[0, first], [1, other]].filter(([which, k]) => image.heat[which] && (which === 0 || k !== first));
  const maps = asked.map(([which, k]) => ({ text: `where it looks for ${className(k)}`, kind: 'heat', k, which }));
  const details = image.guided ? asked.map(([which, k]) => ({ text: `which details say ${className(k)}`, kind: 'fine', k, which })) : [];
  return [{ text: 'the image alone' }, ...maps, ...details];
}

function large(image) {
  const holder = make('div', { class: 'large' }, picture(image, 320));
  if (!image.heat) return holder;
  const caption = make('figcaption', { class: 'says', 'aria-live': 'polite' });
  const show = ({ kind, k, which }) => {
    holder.querySelector('.heat, .fine')?.remove();
    if (kind === 'heat') holder.append(heatOf(image.heat[which], image.heat_box));
    if (kind === 'fine') holder.append(fineOf(image.guided[which], image.heat_box));
    caption.replaceChildren(...(kind ? [make('p', {}, heatInWords(kind, k, image.heat[which])), legend(kind)] : []));
  };
  const radios = viewsOf(image).map((view, i) => make('label', {}, make('input', { type: 'radio', name: 'heat', checked: i === 1, onchange: () => show(view) }), ` ${view.text}`));
  show(viewsOf(image)[1]);
  return make('figure', {}, holder, caption, make('fieldset', { class: 'views' }, make('legend', {}, 'Show'), radios));
}

function headline(image) {
  if (image.p === undefined) return null;
  const verdict = judged && image.wrong !== undefined ? `; p_wrong was ${probability(image.p, 2)}` : `; ${likely(image.p)} likely wrong`;
  return make('p', { class: 'told' }, said(image), `${verdict}.`);
}

// `list` is what Previous and Next go through, and `focus` is called with the image that was seen last.
function openDetails(image, list, focus) {
  const dialog = byId('details');
  const at = list.indexOf(image);
  const go = (step) => { if (list[at + step]) openDetails(list[at + step], list, focus); };
  const step = (title, by) => make('button', { type: 'button', class: 'quiet', disabled: !list[at + by], onclick: () => go(by) }, title);
  dialog.replaceChildren();
  fill(dialog, {}, [
    make('header', {}, badge(outcome(image)), make('h2', { id: 'details-name' }, name(image.name)), make('button', { type: 'button', class: 'quiet', onclick: () => dialog.close() }, 'Close')),
    make('div', { class: 'body', tabindex: '0', role: 'region', 'aria-label': 'Details' },
      make('div', { class: 'first' }, headline(image), whySuspected(image)),
      make('div', {}, large(image), facts(image)),
      make('div', {}, compared(image), probabilities(image), signals(image))),
    make('footer', {}, step('← Previous', -1), make('span', {}, `${whole(at + 1)} of ${whole(list.length)}`), step('Next →', 1)),
  ]);
  dialog.onkeydown = (event) => {
    if (event.target.matches('input')) return;
    if (event.key === 'ArrowLeft') go(-1);
    if (event.key === 'ArrowRight') go(1);
  };
  dialog.onclose = () => focus(image);
  if (!dialog.open) dialog.showModal();
  dialog.querySelector('.body').focus();
}
