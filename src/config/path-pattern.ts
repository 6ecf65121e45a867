/** Patterns of URL paths: a path as it is, with `*` for any number of any characters. */

/** What is between the stars. */
export type PathPattern = readonly string[];

const maxLength = 500;
/** What a hostile path costs grows with them. */
const maxStars = 8;

/** @returns the pattern, or what is wrong with it, in words */
export function parsePathPattern(text: string): PathPattern | string {
  const parts = text.replace(/\*{2,}/g, '*').split('*');
  if (!/^[/*]/.test(text)) return `${JSON.stringify(text.slice(0, 60))} begins with neither / nor *`;
  if (/[?#]/.test(text)) return `${JSON.stringify(text.slice(0, 60))} has a query, which is not looked at`;
  if (/[\s\p{Cc}]/u.test(text)) return `${JSON.stringify(text.slice(0, 60))} has white space, which no path has`;
  if (text.length > maxLength || parts.length > maxStars + 1)
    return `at most ${maxLength} characters and ${maxStars} stars each`;
  return parts;
}

/** Whether a path is one of the pattern's. It looks at each character once for each part at most. */
export function matchesPath(pattern: PathPattern, path: string): boolean {
  const first = pattern[0] ?? '';
  const last = pattern.at(-1) ?? '';
  if (pattern.length === 1) return path === first;
  if (path.length < first.length + last.length || !path.startsWith(first) || !path.endsWith(last)) return false;
  const end = path.length - last.length;
  let at = first.length;
  for (const part of pattern.slice(1, -1)) {
    const found = path.indexOf(part, at);
    if (found < 0 || found + part.length > end) return false;
    at = found + part.length;
  }
  return true;
}
