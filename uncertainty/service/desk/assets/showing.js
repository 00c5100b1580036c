// ---- one image, and what there is to say of it

const pictures = new Map();
const TINY = 64;
const MOST_PICTURES = 12;
const ZOOMS = ['', 'twice', 'four'];
const seen = { zoom: 0, heat: 0, maps: null, looked: 0 };

// A picture that is decoded before it is wanted, so that it is there with the key.
function picture(image) {
  if (!pictures.has(image.item)) {
    const node = make('img', { alt: '', decoding: 'async' });
    node.addEventListener('error', () => node.replaceWith(gone()));
    node.src = `/desk/picture/${image.item}`;
    node.decode().catch(() => {});
    pictures.set(image.item, node);
    for (const old of [...pictures.keys()].slice(0, -MOST_PICTURES)) pictures.delete(old);
  }
  return pictures.get(image.item);
}

const gone = () => make('span', { class: 'gone' }, make('span', { class: 'cross', 'aria-hidden': 'true' }, '✕'), 'There is no picture: it is gone, or can’t be read.');

function show(image) {
  Object.assign(seen, { zoom: 0, heat: 0, maps: null, looked: seen.looked + 1 });
  const node = picture(image);
  // Whoever scrolled down to a class sees the next image whole, and what became of the answer.
  if (byId('stage').getBoundingClientRect().top < document.querySelector('.bar').offsetHeight) window.scrollTo({ top: 0, behavior: 'instant' });
  byId('frame').className = 'large';
  byId('frame').replaceChildren(node.complete && !node.naturalWidth ? gone() : node);
  node.alt = `Image ${image.rank} by suspicion`;
  for (const id of ['zoom', 'heat', 'explain']) byId(id)?.setAttribute('aria-pressed', 'false');
  byId('heat-words').replaceChildren();
  byId('why').hidden = true;
  byId('near').replaceChildren();
  byId('file').replaceChildren(name(image.name));
  byId('verdict').replaceChildren(...verdict(image));
  if (data.looks) lookLater(image, seen.looked);
}

function verdict(image) {
  const said = image.said.length ? image.said.map((k, i) => [i ? ', ' : '', make('b', {}, classNamed(k))]) : ['no class'];
  const how = { drawn: 'Drawn by chance, so that all images are spoken for.', second: 'A second look: somebody else has answered already.', opened: 'You opened this one again.' }[image.how];
  return [
    make('p', { class: 'told' }, 'Predicted ', said, make('small', { class: 'says' }, image.confidence === undefined ? '' : `  ${percent(image.confidence)} sure${data.several ? ', where it is least' : ''}`)),
    make('p', {}, `p_wrong ${probability(image.p)}`, make('span', { class: 'says' }, `, ${image.flagged ? 'flagged' : 'not flagged'}, rank ${whole(image.rank)}`)),
    bar(image.p, 'caught'),
    image.reasons ? make('ul', { class: 'why', 'aria-label': 'Reasons' }, image.reasons.map((one) => make('li', {}, words(one)))) : null,
    how ? make('p', { class: 'says' }, how) : null,
  ].filter(Boolean);
}

// ---- closer

// Around the middle, or the place of the image that was clicked at, as shares of its sides.
function zoom(across = 0.5, down = 0.5) {
  seen.zoom = (seen.zoom + 1) % ZOOMS.length;
  const frame = byId('frame');
  const stage = byId('stage');
  const node = frame.querySelector('img');
  // Eyes know smooth pictures better; who looks closer wants to see the pixels.
  const tiny = seen.zoom && node && Math.max(node.naturalWidth, node.naturalHeight) <= TINY;
  frame.className = `large ${ZOOMS[seen.zoom]} ${tiny ? 'pixels' : ''}`;
  byId('zoom').setAttribute('aria-pressed', String(seen.zoom > 0));
  stage.scrollTo(across * frame.clientWidth - stage.clientWidth / 2, down * frame.clientHeight - stage.clientHeight / 2);
  if (seen.zoom === 1 && node && Math.max(node.naturalWidth, node.naturalHeight) > 640 && !node.src.includes('?')) node.src += '?size=whole';
}

function zoomAt(event) {
  const box = byId('frame').getBoundingClientRect();
  zoom((event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height);
}

// ---- what needs the network: asked for when it is wanted, or once somebody stays

const DWELL = 400;

function lookLater(image, looked) {
  setTimeout(async () => {
    if (seen.looked !== looked) return;
    try {
      const found = await asked(`nearest/${image.item}`, undefined, 'GET');
      if (seen.looked === looked) byId('near').replaceChildren(...nearest(found));
    } catch (error) {
      if (seen.looked === looked && error.status !== 501) byId('near').replaceChildren(make('p', { class: 'says' }, `Known-good images can’t be shown: ${shown(error.message)}`));
    }
  }, DWELL);
}

function nearest(found) {
  if (found.names?.length) return [make('h3', {}, 'Nearest known-good images'), make('ul', { class: 'says' }, found.names.map((one) => make('li', {}, name(one))))];
  if (!found.near.length && !found.names) return [make('p', { class: 'says' }, 'There is no known-good image of the classes in question.')];
  return found.near.map((group) =>
    make(
      'figure',
      { class: 'near' },
      make('figcaption', {}, `Known-good, ${group.title} `, make('b', {}, classNamed(group.class))),
      make('div', { class: 'row' }, group.pictures.map((k, i) => make('img', { src: found.known_good[k], alt: `known-good, distance ${fixed(group.distances[i])}` }))),
    ),
  );
}

async function heat(image) {
  const looked = seen.looked;
  try {
    if (!seen.maps) {
      byId('heat-words').textContent = 'looking …';
      seen.maps = await asked(`heat/${image.item}`, undefined, 'GET');
    }
    if (seen.looked !== looked) return;
    seen.heat = (seen.heat + 1) % 3;
    byId('frame').querySelector('canvas')?.remove();
    byId('heat').setAttribute('aria-pressed', String(seen.heat > 0));
    const which = seen.heat - 1;
    if (which < 0 || !seen.maps.heat) {
      byId('heat-words').textContent = seen.maps.heat ? '' : 'There is no heat map of this image.';
      return;
    }
    const k = seen.maps.heat_of[which];
    byId('frame').append(heatOf(seen.maps.heat[which], seen.maps.heat_box));
    byId('heat-words').replaceChildren(legend('heat'), make('p', { class: 'says' }, heatInWords('heat', k, seen.maps.heat[which])));
  } catch (error) {
    if (seen.looked === looked) byId('heat-words').textContent = `There is no heat map: ${shown(error.message)}`;
  }
}

async function explain(image) {
  const looked = seen.looked;
  const node = byId('why');
  node.hidden = !node.hidden;
  byId('explain').setAttribute('aria-pressed', String(!node.hidden));
  if (node.hidden) return;
  node.replaceChildren(make('p', {}, 'looking …'));
  try {
    const found = await asked(`explained/${image.item}`, undefined, 'GET');
    if (seen.looked === looked) node.replaceChildren(make('ul', {}, found.lines.map((line) => make('li', {}, name(line)))));
  } catch (error) {
    if (seen.looked === looked) node.replaceChildren(make('p', {}, `Nothing can be said: ${shown(error.message)}`));
  }
}
