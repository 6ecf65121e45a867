/** What config code prints, which is for the operator to see and must not be taken for the app's output. */

/** Lines, and characters, of one child. */
const maxLines = 1_000;
const maxCharacters = 2 * 1024 * 1024;

/**
 * Is told each line that config code prints, in plain text, without its end, and whether that was there: a long line comes
 * in pieces, and the last one may have none.
 */
export type OnPrinted = (line: string, isEnded: boolean) => void;

/** For a command, or a start that has no log yet. */
export const toStderr: OnPrinted = (line, isEnded) => void process.stderr.write(isEnded ? `${line}\n` : line);

/** @returns the same for so many lines; after them it is told once that the rest is left out */
export function bounded(onPrinted: OnPrinted): OnPrinted {
  let lines = 0;
  let characters = 0;
  let isOver = false;
  return (line, isEnded) => {
    if (isOver) return;
    lines += 1;
    characters += line.length;
    isOver = lines > maxLines || characters > maxCharacters;
    if (isOver) onPrinted('(it prints more, which is left out)', true);
    else onPrinted(line, isEnded);
  };
}
