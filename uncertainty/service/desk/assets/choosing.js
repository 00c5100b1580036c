// ---- a class among many: typed in part, and found at once

const MOST_OPTIONS = 50;
const plainly = (text) => text.normalize('NFKD').replace(/\p{M}/gu, '').toLowerCase();
const PLAIN = classes.map(plainly);
const combo = { input: byId('class-name'), list: byId('class-list'), found: [], at: 0, take: () => {} };

// Those called so, those that begin so, then those with a word that does, then all others that hold every word typed; in
// the order of the classes.
function classesLike(typed) {
  const wanted = plainly(typed.trim());
  if (!wanted) return [...classes.keys()].slice(0, MOST_OPTIONS);
  const groups = [[], [], [], []];
  const typedWords = wanted.split(/\s+/);
  PLAIN.forEach((text, k) => {
    if (!typedWords.every((one) => text.includes(one))) return;
    const at = text.indexOf(typedWords[0]);
    const word = text === wanted ? 0 : text.startsWith(wanted) ? 1 : at === 0 || /[\s_\-,;/.]/.test(text[at - 1]) ? 2 : 3;
    groups[word].push(k);
  });
  return groups.flat().slice(0, MOST_OPTIONS);
}

function showOptions() {
  combo.found = classesLike(combo.input.value);
  // With nothing typed none is marked: Enter would label an image as whatever class comes first.
  combo.at = combo.input.value.trim() ? 0 : -1;
  const options = combo.found.map((k, i) => make('li', { role: 'option', id: `option-${i}`, onclick: () => takeOption(i) }, classNamed(k), data.several && desk.chosen.has(k) ? ' ✓' : ''));
  if (!options.length) options.push(make('li', { class: 'nothing', role: 'option', 'aria-disabled': true }, 'no class is called so'));
  combo.list.replaceChildren(...options);
  openOptions(true);
  markOption();
}

function openOptions(open) {
  combo.list.hidden = !open;
  combo.input.setAttribute('aria-expanded', String(open));
  if (!open) combo.input.removeAttribute('aria-activedescendant');
}

function markOption() {
  [...combo.list.children].forEach((one, i) => one.setAttribute('aria-selected', String(i === combo.at && combo.found.length > 0)));
  if (!combo.found.length || combo.at < 0) return;
  combo.input.setAttribute('aria-activedescendant', `option-${combo.at}`);
  combo.list.children[combo.at].scrollIntoView({ block: 'nearest' });
}

function moveOption(by) {
  if (combo.list.hidden) showOptions();
  else if (combo.found.length) {
    const from = combo.at < 0 && by < 0 ? 0 : combo.at;
    combo.at = (from + by + combo.found.length) % combo.found.length;
    markOption();
  }
}

function takeOption(i) {
  if (i < 0 || i >= combo.found.length) return;
  const k = combo.found[i];
  combo.input.value = '';
  openOptions(false);
  combo.take(k);
}

combo.input.addEventListener('input', showOptions);
combo.input.addEventListener('focus', () => {
  showOptions();
  // On a phone the keyboard would cover what is found.
  if (matchMedia('(max-width: 860px)').matches) combo.input.scrollIntoView({ block: 'start' });
});
combo.input.addEventListener('blur', () => openOptions(false));
combo.list.addEventListener('mousedown', (event) => event.preventDefault());
combo.input.addEventListener('keydown', (event) => {
  const does = {
    ArrowDown: () => moveOption(1),
    ArrowUp: () => moveOption(-1),
    Enter: () => (combo.list.hidden ? showOptions() : takeOption(combo.at)),
    Escape: () => { combo.input.value = ''; openOptions(false); combo.input.blur(); byId('stage').focus({ preventScroll: true }); },
  }[event.key];
  if (!does || event.isComposing) return;
  event.preventDefault();
  event.stopPropagation();
  does();
});
