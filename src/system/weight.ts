/** What JSON costs to be parsed, known before it is: a text of few bytes may be very many objects, or one inside another. */

/** Levels of the deepest message, and as many again. */
const maxDepth = 12;

const quote = 0x22;
const backslash = 0x5c;
const comma = 0x2c;
const colon = 0x3a;
const [openBracket, closeBracket, openBrace, closeBrace] = [0x5b, 0x5d, 0x7b, 0x7d];

/**
 * Of what is no JSON it says nothing that is right, but nothing that is too little for a parser that stops at the first
 * thing that is wrong.
 *
 * @returns the number of values, roughly; infinite if they are nested too deep
 */
export function weightOf(json: Uint8Array): number {
  let weight = 1;
  let depth = 0;
  let isText = false;
  for (let at = 0; at < json.length; at++) {
    const byte = json[at];
    if (isText) {
      if (byte === backslash) at += 1;
      else if (byte === quote) isText = false;
    } else if (byte === quote) isText = true;
    else if (byte === comma || byte === colon) weight += 1;
    else if (byte === openBracket || byte === openBrace) {
      weight += 1;
      depth += 1;
      if (depth > maxDepth) return Number.POSITIVE_INFINITY;
    } else if (byte === closeBracket || byte === closeBrace) depth -= 1;
  }
  return weight;
}
