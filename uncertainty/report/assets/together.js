// ---- several labels: which of them stand together

const togetherText = (together) => (together ? `, ${together.of === 'label' ? 'labelled' : 'said to be'} ${together.pair.map(className).join(' and ')}` : '');

function showTogether() {
  const found = several?.together;
  if (!found?.shown.length) return;
  byId('together').hidden = false;
  const fields = { said: 'predicted', carried: 'label' };
  const grid = (which) => {
    const of = new Map(found[which].flatMap(([i, j, n]) => [[`${i} ${j}`, n], [`${j} ${i}`, n]]));
    const most = Math.max(1, ...found[which].filter(([i, j]) => i !== j).map(([, , n]) => n));
    const place = (i, j) => {
      const n = of.get(`${i} ${j}`);
      if (!n) return make('td', {}, make('span', { class: 'none', 'aria-hidden': 'true' }, '·'));
      const label = i === j ? `${className(i)}: ${plural(n, 'image', 'images')}` : `${className(i)} and ${className(j)}: ${plural(n, 'image', 'images')}`;
      const button = make('button', { type: 'button', class: i === j ? 'alone' : 'hit', 'aria-label': label, title: label, onclick: () => openImages({ together: { pair: [i, j], of: fields[which] } }) }, whole(n));
      button.style.setProperty('--strength', i === j ? '0%' : `${Math.round(8 + 32 * Math.sqrt(Math.min(1, n / most)))}%`);
      return make('td', {}, button);
    };
    return make('table', { class: 'matrix' },
      make('caption', { class: 'unseen' }, 'Images by pairs of labels'),
      make('thead', {}, make('tr', {}, make('td', { class: 'corner' }), found.shown.map((k) => make('th', { scope: 'col' }, classNamed(k))))),
      make('tbody', {}, found.shown.map((i) => make('tr', {}, make('th', { scope: 'row' }, classNamed(i)), found.shown.map((j) => place(i, j))))));
  };
  const holder = make('div', {}, grid('said'));
  const chip = (which, text) => make('button', { type: 'button', class: 'chip', 'aria-pressed': which === 'said', onclick: (event) => {
    for (const other of event.target.parentNode.children) other.setAttribute('aria-pressed', other === event.target);
    holder.replaceChildren(grid(which));
  } }, text);
  const pairs = found.pairs.map(([i, j, said, there]) => make('li', {}, make('button', { type: 'button', class: 'pair', onclick: () => openImages({ together: { pair: [i, j], of: 'predicted' } }) }, classNamed(i), ' and ', classNamed(j)), ` ${plural(said, 'image', 'images')}, really ${whole(there)}`));
  fill(byId('together-panel'), {}, [
    found.carried ? make('div', { class: 'chips', role: 'group', 'aria-label': 'Labels counted' }, chip('said', 'as it was said'), chip('carried', 'as labelled')) : null,
    make('p', { class: 'says' }, `How many images have both labels; on the diagonal, how many have the one.${found.shown.length < found.classes ? ` ${found.shown.length} of ${whole(found.classes)} classes, those that occur most.` : ''} Choose a cell to see its images.`),
    make('div', { class: 'beside' }, scrolling('Labels together', holder), pairs.length ? make('div', { class: 'pairs' }, make('h3', {}, 'Said together too often'), make('ol', {}, pairs)) : null),
  ]);
}
