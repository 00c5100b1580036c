// ---- a class among many: typed in part, and found at once

const MOST_OPTIONS = 50;
const plainly = (text) => text.normalize('NFKD').replace(/\p{M}/gu, '').toLowerCase();
const PLAIN = classes.map(plainly);
const combo = { input: byId('class-name'), list: byId('class-list'), found: [], at: 0, take: () => {} };

// Those that begin so, then those with a word that does, then all others that hold it; in the order of the classes.
function classesLike(typed) {
  const wanted = plainly(typed.trim());
  if (!wanted) return [...classes.keys()].slice(0, MOST_OPTIONS);
  const groups = [[], [], []];
  PLAIN.forEach((text, k) => {
    const at = text.indexOf(wanted);
    if (at < 0) return;
    const word = at === 0 ? 0 : /[\s_\-,;/.]/.test(text[at - 1]) ? 1 : 2;
    groups[word].push(k);
  });
  return groups.flat().slice(0, MOST_OPTIONS);
}

function showOptions() {
  combo.found = classesLike(combo.input.value);
  combo.at = 0;
  const options = combo.found.map((k, i) => make('li', { role: 'option', id: `option-${i}`, onclick: () => takeOption(i) }, classNamed(k)));
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
  if (!combo.found.length) return;
  combo.input.setAttribute('aria-activedescendant', `option-${combo.at}`);
  combo.list.children[combo.at].scrollIntoView({ block: 'nearest' });
}

function moveOption(by) {
  if (combo.list.hidden) showOptions();
  else if (combo.found.length) {
    combo.at = (combo.at + by + combo.found.length) % combo.found.length;
    markOption();
  }
}

function takeOption(i) {
  if (i >= combo.found.length) return;
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
