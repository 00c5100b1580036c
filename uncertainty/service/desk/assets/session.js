'use strict';
// Sends the token once, and gets a cookie in its place.

document.getElementById('form').addEventListener('submit', async (event) => {
  event.preventDefault();
  const answer = await fetch('/session', { method: 'POST', body: document.getElementById('token').value.trim(), credentials: 'same-origin' }).catch(() => null);
  if (answer?.ok) location.assign('/desk');
  else document.getElementById('refusal').textContent = answer ? 'This is not the token.' : 'The review can’t be reached.';
});
