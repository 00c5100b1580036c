// ---- one image, small: a card of the gallery, and one of the worst

function picture(image, size = 160) {
  if (image.picture === undefined) {
    return make('span', { class: 'gone' }, make('span', { class: 'cross', 'aria-hidden': 'true' }, '✕'), image.error ? `unreadable: ${shown(image.error)}` : `no picture: ${shown(image.no_picture)}`);
  }
  const tiny = Math.max(...image.size) <= 64 ? 'tiny' : '';
  return make('img', { src: image.picture, alt: '', class: tiny, loading: 'lazy', decoding: 'async', width: size, height: size });
}

const wronglyGiven = (image) => (image.label === undefined ? [] : image.predicted.filter((k) => !image.label.includes(k) && !image.unanswered.includes(k)));
const notRecognised = (image) => listOf(image.label).filter((k) => !image.predicted.includes(k));

function saidOfSeveral(image) {
  const parts = ['Said: ', make('b', {}, labelsNamed(image.predicted))];
  const [extra, lost] = [wronglyGiven(image), notRecognised(image)];
  if (extra.length) parts.push('; wrongly given: ', make('b', {}, labelsNamed(extra)));
  if (lost.length) parts.push('; not recognised: ', make('b', {}, labelsNamed(lost)));
  if (image.label !== undefined && !image.wrong) parts.push(', as labelled');
  if (image.label === undefined && image.doubts.length) parts.push('; most in doubt: ', classNamed(image.doubts[0][0]));
  return parts;
}

const said = (image) => {
  if (image.predicted === undefined) return ['not classified'];
  if (several) return saidOfSeveral(image);
  const predicted = make('b', {}, classNamed(image.predicted));
  if (image.label === undefined) return ['Taken for ', predicted];
  return image.wrong ? ['Taken for ', predicted, ', really ', make('b', {}, classNamed(image.label))] : [predicted, ', as labelled'];
};

// The whole picture is a button; what it says is its name, or what stands in its place.
function shot(image, open, heat = null) {
  const label = `${shown(image.name)}: details`;
  const parts = [picture(image), heat];
  if (image.picture !== undefined) return make('button', { type: 'button', class: 'shot', 'aria-label': label, onclick: open }, parts);
  return make('button', { type: 'button', class: 'shot', onclick: open }, make('span', { class: 'unseen' }, `${label}, `), parts);
}

// What has few pixels shows them, as the image beside it does.
const crisp = ({ target }) => target.classList.toggle('tiny', Math.max(target.naturalWidth, target.naturalHeight) <= 64);
const good = (k, size) => make('img', { src: data.known_good[k], alt: '', loading: 'lazy', width: size, height: size, onload: crisp });

// In the frame of the card: the image, and below it the class as it should look.
function shouldLook(image) {
  if (!image.near?.length) return null;
  return make('div', { class: 'strip' }, image.near.slice(0, 2).map((group) =>
    make('div', {}, make('span', { class: 'tag' }, 'known-good ', classNamed(group.class)), make('span', { class: 'row' }, group.pictures.map((k) => good(k, 48))))));
}

function card(image, open) {
  const kind = outcome(image);
  const node = make(
    'li',
    { class: `card ${kind}` },
    shot(image, open, image.heat ? heatOf(image.heat[0], image.heat_box) : null),
    bar(image.p ?? 1),
    make('div', { class: 'head' }, badge(kind), make('span', { class: 'p', title: 'p_wrong' }, image.p === undefined ? '–' : probability(image.p, 2))),
    make('p', { class: 'said' }, said(image)),
    reasonChips(reasonsOf(image)),
    shouldLook(image),
    make('p', { class: 'file' }, name(image.name)),
  );
  return { node, kind };
}

// ---- the worst, under the headline

const WORST = 12;

function showWorst(open) {
  const list = images.filter((image) => image.p !== undefined && image.picture !== undefined).sort((a, b) => a.rank - b.rank).slice(0, WORST);
  if (!list.length) return;
  const nodes = new Map();
  const item = (image) => {
    const node = make('li', {},
      shot(image, () => open(image, list, (one) => nodes.get(one).querySelector('.shot').focus())),
      make('p', { class: 'said' }, said(image)),
      make('p', { class: 'says' }, `${likely(image.p)} likely wrong`),
      reasonChips(reasonsOf(image).slice(0, 2)));
    nodes.set(image, node);
    return node;
  };
  byId('worst').hidden = false;
  byId('worst').append(scrolling('The most suspicious images', make('ul', { class: 'worst' }, list.map(item))));
}
