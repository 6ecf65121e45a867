/**
 * Makes text plain that comes from a service, an app, a client or a file, before a person sees it: on a terminal or in a
 * log it neither steers anything, nor hides or reorders what is around it, nor begins a line.
 */

/**
 * What may not get through: control characters (C0, DEL and C1), those that turn the direction of writing or are invisible
 * (category Cf, which has U+202A to U+202E, U+2066 to U+2069 and the zero-width ones), line and paragraph separators,
 * private use, and halves of characters.
 *
 * @see https://www.unicode.org/reports/tr44/#General_Category_Values
 */
function unsafe(): RegExp {
  // Not made before it is needed: it is two megabytes of Node's tables of characters.
  return /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Co}\p{Cs}]/gu;
}
/** Of these nothing has to be looked at twice: printable ASCII is most of all text. */
const printable = /^[\x20-\x7e]*$/;

/**
 * For a terminal, where the meaning counts: what is unsafe becomes a space or goes, and marks do not pile up.
 */
export function plain(text: string): string {
  if (printable.test(text)) return text;
  return text
    .normalize('NFC')
    .replace(/[\p{Cc}\p{Zl}\p{Zp}]+/gu, ' ')
    .replace(/[\p{Cf}\p{Cs}\p{Co}\p{Variation_Selector}]/gu, '')
    .replace(/(\p{M}{2})\p{M}+/gu, '$1');
}

/** For a log, where it counts what it was: what is unsafe is written out, `\n` or `\u202e`. Tabs stay. */
export function escapeText(text: string): string {
  if (printable.test(text)) return text;
  return text.replace(unsafe(), (character) => {
    if (character === '\t') return character;
    if (character === '\n') return '\\n';
    if (character === '\r') return '\\r';
    return escaped(character);
  });
}

/** For JSON that is written already: it means the same, and is one line of what every reader takes for plain text. */
export function escapeJson(json: string): string {
  if (printable.test(json)) return json;
  // Outside of strings JSON has no other character than these.
  return json.replace(unsafe(), (character) => (character === '\n' ? character : escaped(character)));
}

/** As JavaScript and JSON write it. */
function escaped(character: string): string {
  let text = '';
  for (let index = 0; index < character.length; index += 1)
    text += `\\u${character.charCodeAt(index).toString(16).padStart(4, '0')}`;
  return text;
}
