/** PREFORK_CMD_ARGS: words as a shell would split them, with its quotes and nothing else of it. */
import { ConfigError } from '../errors.ts';

/** @throws ConfigError if a quote is not closed */
export function splitWords(text: string): string[] {
  const words: string[] = [];
  let word: string | null = null;
  let quote: string | null = null;
  for (let i = 0; i < text.length; i += 1) {
    const letter = text.charAt(i);
    if (quote !== null) {
      if (letter === quote) quote = null;
      else if (letter === '\\' && quote === '"' && /["\\$`]/.test(text.charAt(i + 1))) word += text.charAt(++i);
      else word += letter;
    } else if (letter === '"' || letter === "'") {
      quote = letter;
      // Quotes around nothing are a word too.
      word ??= '';
    } else if (/\s/.test(letter)) {
      if (word !== null) words.push(word);
      word = null;
    } else {
      const isEscape = letter === '\\' && i + 1 < text.length;
      word = (word ?? '') + (isEscape ? text.charAt(++i) : letter);
    }
  }
  if (quote !== null) {
    throw new ConfigError([{ setting: null, source: 'PREFORK_CMD_ARGS', message: `a ${quote} is not closed` }]);
  }
  if (word !== null) words.push(word);
  return words;
}
