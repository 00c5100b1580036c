// ---- reasons in words: each says what raised p_wrong, or what is unusual to see

const MEANINGS = {
  low_margin: 'another class is nearly as probable',
  low_evidence: 'little in it speaks for any class',
  decision_in_doubt: 'whether it has one of the labels is doubtful',
  error_prone_class: 'what is taken for its class is often wrong',
  confusable_classes: 'its class and the runner-up are often taken for each other',
  like_known_errors: 'it is like images that were taken wrongly before',
  far_from_known_good: 'no known-good image is much like it',
  nearer_to_another_class: 'known-good images of another class are more like it',
  second_opinion_disagrees: 'another network sees another class',
  unstable_under_dropout: 'parts of the network give different answers',
  unstable_under_augmentation: 'flipped or shifted, it gets different answers',
  unusual_image: 'its light, sharpness or colours are unusual',
  deeper_look_failed: 'the first look was in doubt, and a second one failed',
  unreadable: 'it could not be read, so nothing is known of it',
};

const reasonsOf = (image) => (image.error !== undefined ? ['unreadable'] : image.reasons ?? []);
const reasonChips = (reasons) => (reasons.length ? make('ul', { class: 'why' }, reasons.map((reason) => make('li', {}, words(shown(reason))))) : null);

function whySuspected(image) {
  const reasons = reasonsOf(image);
  const title = isFlagged(image) ? 'Why it is suspected' : 'What was noted';
  const listed = reasons.map((reason) => make('li', {}, make('b', {}, words(shown(reason))), Object.hasOwn(MEANINGS, reason) ? `: ${MEANINGS[reason]}` : null));
  const none = isFlagged(image) ? 'No single signal stands out; it is flagged for all of them together.' : 'It is not suspected, and no reason was noted.';
  return [make('h3', {}, title), listed.length ? make('ul', { class: 'reasons' }, listed) : make('p', { class: 'says' }, none)];
}
