/** The outline of a sparkline. Nothing here touches the document. */

export const width = 100;
export const height = 24;

export interface Outline {
  /** The line, with gaps if something is not known. */
  readonly line: string;
  /** The same, closed at the bottom. */
  readonly area: string;
  /** A mark at each sample at which another worker took over. */
  readonly marks: string;
}

/**
 * Drawn from the right, the newest sample last, into a box of {@link width} by {@link height}.
 *
 * @param room samples that fit
 * @param highest what the top edge means
 */
export function outlineOf(
  samples: readonly (number | null)[],
  room: number,
  highest: number,
  holders: readonly number[] = [],
): Outline {
  const step = width / (room - 1);
  const x = (index: number): string => (width - (samples.length - 1 - index) * step).toFixed(1);
  const y = (sample: number): string =>
    (height - 1 - (highest <= 0 ? 0 : Math.min(1, sample / highest)) * (height - 3)).toFixed(1);
  let line = '';
  let area = '';
  let from: number | null = null;
  for (const [index, sample] of samples.entries()) {
    if (sample === null) {
      from = null;
      continue;
    }
    const point = `${x(index)} ${y(sample)}`;
    const isLast = samples[index + 1] === null || index === samples.length - 1;
    if (from === null) {
      from = index;
      // A lone sample is a dot: a line of no length, with round ends.
      line += `M${point}L${point}`;
      area += `M${x(index)} ${height}L${point}`;
    } else {
      line += `L${point}`;
      area += `L${point}`;
    }
    if (isLast) area += `L${x(index)} ${height}Z`;
  }
  const offset = samples.length - holders.length;
  const marks = holders
    .map((id, index) => (index > 0 && id !== holders[index - 1] ? `M${x(index + offset)} 0V${height}` : ''))
    .join('');
  return { line, area, marks };
}
