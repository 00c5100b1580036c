// ---- the page

const THEMES = ['auto', 'light', 'dark'];

function showTheme() {
  const button = byId('theme');
  let theme = 'auto';
  const apply = () => {
    button.textContent = `Theme: ${theme}`;
    if (theme === 'auto') delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
  };
  button.addEventListener('click', () => {
    theme = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length];
    apply();
  });
  apply();
}

function showFigures() {
  const { risk, histogram, reliability } = data.charts;
  if (counts.images === counts.unreadable) return [];
  byId('quality').hidden = false;
  const drawn = [
    risk && counts.errors ? riskChart(risk) : null,
    histogramChart(histogram),
    reliability?.length ? reliabilityChart(reliability) : null,
  ].filter(Boolean);
  byId('charts').append(...drawn.map((one) => one.node));
  const found = evaluation && signalsChart(evaluation);
  if (found) byId('charts').append(found);
  return drawn;
}

function showNavigation() {
  const sections = [...document.querySelectorAll('main > section')].filter((one) => !one.hidden && one.id !== 'summary');
  const titles = { budget: 'Budget', overview: 'Figures', quality: 'Quality', confusion: 'Confusion', classes: 'Classes', decisions: 'Decisions', together: 'Together', slices: 'Slices', gallery: 'Images', drift: 'Drift', policy: 'Policy', basis: 'Basis' };
  byId('nav').append(...sections.map((one) => make('a', { href: `#${one.id}` }, titles[one.id])));
}

showTheme();
showSummary();
showWorst(openDetails);
let figures = [];
let waiting = false;
showBudget(() => {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => {
    waiting = false;
    figures[0]?.repaint();
    refreshOutcomes();
  });
});
figures = showFigures();
showConfusion(openCell);
if (several) showDecisions();
else showClasses();
showTogether();
showSlices();
showGallery();
showBasis();
showNavigation();
hinted(byId('nav'));
document.documentElement.dataset.ready = 'true';
