/** Text that does something to who reads it, one kind an entry; and how to see that nothing of it got through. */

/** What is not plain: control characters, line and paragraph separators, bidi controls, invisible ones, halves. */
export const unplain = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Co}\p{Cs}]/u;

export const hostileTexts: Readonly<Record<string, string>> = {
  'line ends': 'one\ntwo\r\nthree\rfour\u000bfive\u000csix\u0085seven\u2028eight\u2029nine',
  'a forged line of JSON': 'x\n{"level":30,"msg":"forged"}\n',
  'a forged pretty line': 'x\n[12:00:00.000] INFO: forged\n',
  'escape sequences': '\u001b[2J\u001b]0;title\u0007\u001b[31m\u009b31m\u0090q\u009c',
  'C0 and DEL': '\u0000\u0001\u0008\u000e\u001f\u007f',
  'turned text': '\u202eevil\u202a\u202b\u202c\u202d\u2066\u2067\u2068\u2069\u200e\u200f\u061c',
  'invisible text': 'a\u200bb\u200cc\u200dd\u2060e\ufefff\u00adg\u{e0041}\u{e007f}\u180e',
  'halves of characters': '\ud800x\udc00',
};
